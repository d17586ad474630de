"""One client's connection: what must be refused before there is a request, and what every request passes first.

uvicorn waits for ever for the rest of a request, collects headers without end, and keeps an answer for ever that its
client does not read. Its documented `http` setting takes a protocol class; BentoML leaves that at "auto", so `install`
changes what "auto" names.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import uvicorn.config
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from slipway.serving.http.errors import new_request_id, raw_error
from slipway.serving.http.limits import MAX_HEAD_BYTES, RECEIVE_TIMEOUT, SEND_TIMEOUT

LINGER_SECONDS = 1.0
logger = logging.getLogger("bentoml.connection")


def install(*layers: Callable[[ASGIApp], ASGIApp]) -> None:
    """Make uvicorn speak HTTP through `Connection` in this process, from the next server that it starts.

    layers: ASGI middlewares that stand before the application, the first outermost. So they cover all that BentoML
        answers, its own errors and its time limit among it. Added to the service (`add_asgi_middleware`) they would
        stand behind its tracing and that limit, which cost a small request more than they do, though both have
        nothing to do with it.
    """
    Connection.layers = layers
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__qualname__}"


@cache
def behind_layers(app: ASGIApp) -> ASGIApp:
    """An application with the layers before it: the same ones for all connections."""
    for layer in reversed(Connection.layers):
        app = layer(app)
    return app


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a limit to the size of a head and to the time that a request or its answer may take.

    Bytes that are no HTTP, a head too large and a request too slow get an error in the one shape, and the connection is
    closed; as is that of a client which does not read its answer.
    """

    layers: ClassVar[Sequence[Callable[[ASGIApp], ASGIApp]]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = behind_layers(self.app)
        self.access_log = False  # BentoML silences it, but uvicorn would still put its lines together
        self.receiving_since: float | None = None  # None between requests: then uvicorn's keep-alive limit holds
        self.sending_since: float | None = None  # None unless an answer waits for the client to read it
        self.is_head = True  # whether what arrives is a head: there is no request yet that could be answered
        self.head = 0  # bytes of it so far; after a body, of the trailers
        self.refused = False
        self.unanswered: deque[RequestResponseCycle] = deque()  # the requests of which the head is complete
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first request must be complete in time, too."""
        super().connection_made(transport)
        self.receiving_since = self.loop.time()
        self.timer = self.loop.call_later(RECEIVE_TIMEOUT, self.check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        if self.timer is not None:
            self.timer.cancel()
        for cycle in self.unanswered:  # uvicorn would tell the last one alone, and the others would fail as they write
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.refused:
            return
        if self.receiving_since is None:
            self.receiving_since = self.loop.time()
        self.head += len(data)
        super().data_received(data)
        if self.head > MAX_HEAD_BYTES:
            self.refuse(431, f"the headers are larger than {MAX_HEAD_BYTES:,} bytes")

    def on_message_begin(self) -> None:
        """A request begins, perhaps with the last bytes of the one before."""
        if self.receiving_since is None:
            self.receiving_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete; `Admission` judges it as a whole."""
        super().on_headers_complete()  # it raises an error if the URL is none
        self.unanswered.append(self.cycle)
        self.is_head = False
        self.head = 0
        self.headers = []  # what follows a body in chunks, nobody reads

    def on_body(self, body: bytes) -> None:
        """A part of the body; `Admission` judges its size."""
        self.head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.receiving_since = None
        self.is_head = True
        self.head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The first of the requests is answered."""
        self.unanswered.popleft()
        super().on_response_complete()

    def _should_upgrade(self) -> bool:
        return False  # a WebSocket is no request: nothing here could refuse it in the one shape

    def _unsupported_upgrade_warning(self) -> None:
        """The client is answered over HTTP, as if it had not asked for another protocol."""

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self.refuse(400, "this is not HTTP/1.1")

    def pause_writing(self) -> None:
        """The client reads its answer more slowly than it is written."""
        self.sending_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has read most of that."""
        self.sending_since = None
        super().resume_writing()

    def check_time(self) -> None:
        """Send away who is too slow, and look again when the next limit may be reached."""
        now = self.loop.time()
        if self.transport.is_closing():  # yet not lost: the client does not read what it was sent
            self.transport.abort()
            return
        if self.sending_since is not None and now - self.sending_since >= SEND_TIMEOUT:
            logger.warning("closed: an answer was not read within %g seconds", SEND_TIMEOUT)
            self.transport.abort()
            return
        if self.receiving_since is not None and now - self.receiving_since >= RECEIVE_TIMEOUT:
            self.refuse(408, f"the request was not complete within {RECEIVE_TIMEOUT:g} seconds")
            self.receiving_since = None
        receiving = now if self.receiving_since is None else self.receiving_since
        sending = now if self.sending_since is None else self.sending_since
        self.timer = self.loop.call_at(min(receiving + RECEIVE_TIMEOUT, sending + SEND_TIMEOUT), self.check_time)

    def refuse(self, status: int, error: str) -> None:
        """Answer for the application, and close the connection.

        Not at once: closing it while the client is still sending would reset it, and the client would lose the answer.
        """
        if self.refused or self.transport.is_closing():
            return
        self.refused = True
        request_id = new_request_id()
        logger.warning("refused with %d, request %s: %s", status, request_id, error)
        if self.is_head and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # requests before this one still wait: their answers, then uvicorn closes
            return
        if self.is_head or not (self.pipeline or self.cycle.response_started):
            self.transport.write(raw_error(status, error, request_id))
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
