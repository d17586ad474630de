"""One client's connection: what must be refused before there is a request, and how a connection ends.

uvicorn waits for ever for the rest of a request, collects headers without end, and keeps an answer for ever that its
client does not read. It also closes a connection while its client may still be sending, which loses the answer. Its
documented `http` setting takes a protocol class; BentoML leaves that at "auto", so `install` changes what "auto" names.
"""

import asyncio
import logging
from collections import deque
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from slipway.serving.http.admission import FAULT
from slipway.serving.http.errors import Refusal, raw_error
from slipway.serving.http.front import Front
from slipway.serving.http.limits import KEEP_ALIVE_TIMEOUT, MAX_HEAD_BYTES, RECEIVE_TIMEOUT, SEND_TIMEOUT
from slipway.serving.http.request import request_id

FRONT = "slipway.front"  # in the state of the lifespan: what a connection asks
LINGER_SECONDS = 1.0  # seconds of silence, after which a client that was still sending has read its answer
BENTOML_KEEP_ALIVE = 5  # the default of `bentoml serve --timeout-keep-alive`; another one was asked for
logger = logging.getLogger("bentoml.connection")


def install() -> None:
    """Make uvicorn speak HTTP through `Connection` in this process, from the next server that it starts."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__qualname__}"


class Transport:
    """A connection's transport whose `close` waits for a client that is still sending.

    To close a socket that has bytes nobody read resets the connection, and a client that has not finished sending loses
    the answer to what it sent, or a proxy before it does.
    """

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close the connection, once its client can have read what was written."""
        self._connection.finish()

    def is_closing(self) -> bool:
        """Whether nothing more is to be written."""
        return self._connection.is_finished or self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a limit to the size of a head and to the time that a request or its answer may take.

    Bytes that are no HTTP, a head too large and a request too slow get an error in the one shape, and the connection is
    closed; as is that of a client which does not read its answer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        front = self.app_state.get(FRONT)
        self.front: Front | None = front
        if front is not None:
            self.app = front
        if self.timeout_keep_alive == BENTOML_KEEP_ALIVE:
            self.timeout_keep_alive = KEEP_ALIVE_TIMEOUT
        self.access_log = False  # BentoML silences it, but uvicorn would still put its lines together
        self.receiving_since: float | None = None  # None between requests: then uvicorn's keep-alive limit holds
        self.sending_since: float | None = None  # None unless an answer waits for the client to read it
        self.is_head = True  # whether what arrives is a head: there is no request yet that could be answered
        self.head = 0  # bytes of it so far; after a body, of the trailers
        self.is_refused = False  # whether what arrives is thrown away, and nothing after it will be answered
        self.is_finished = False  # whether nothing more will be written; the connection is about to be closed
        self.heard = 0.0  # when, in the end, something arrived last
        self.closing_since: float | None = None  # None until the connection is closed on this side
        self.unanswered: deque[RequestResponseCycle] = deque()  # the requests of which the head is complete
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first request must be complete in time, too."""
        super().connection_made(Transport(transport, self))  # type: ignore[arg-type]
        self.socket = transport
        self.receiving_since = self.loop.time()
        self.timer = self.loop.call_later(RECEIVE_TIMEOUT, self.check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        if self.timer is not None:
            self.timer.cancel()
        for cycle in self.unanswered:  # uvicorn would tell the last one alone, and the others would fail as they write
            cycle.disconnected = True
            cycle.message_event.set()
        self.is_finished = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.is_refused or self.is_finished:
            self.heard = self.loop.time()
            if self.is_refused or self.is_head:
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
        if self.is_finished:
            self.close()

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
        if self.closing_since is not None and now - self.closing_since >= SEND_TIMEOUT:
            self.socket.abort()  # closed, yet not lost: the client does not read what it was sent
            return
        if self.closing_since is not None:
            self.timer = self.loop.call_at(self.closing_since + SEND_TIMEOUT, self.check_time)
            return
        if self.sending_since is not None and now - self.sending_since >= SEND_TIMEOUT:
            logger.warning("closed: an answer was not read within %g seconds", SEND_TIMEOUT)
            self.socket.abort()
            return
        if self.receiving_since is not None and now - self.receiving_since >= RECEIVE_TIMEOUT:
            self.refuse(408, f"the request was not complete within {RECEIVE_TIMEOUT:g} seconds")
        receiving = now if self.receiving_since is None or self.is_refused else self.receiving_since
        sending = now if self.sending_since is None else self.sending_since
        self.timer = self.loop.call_at(min(receiving + RECEIVE_TIMEOUT, sending + SEND_TIMEOUT), self.check_time)

    def refuse(self, status: int, error: str) -> None:
        """Answer what cannot become a request, and close the connection."""
        if self.is_refused or self.is_finished or self.socket.is_closing():
            return
        self.is_refused = True
        if not self.is_head:
            if self.cycle.response_started:  # it was refused by its head, and the rest of it is not to be had
                self.finish()
                return
            # `Admission` waits for the rest of the body, or will: it answers, with the client's own id
            self.cycle.keep_alive = False
            scope: Any = self.cycle.scope
            scope[FAULT] = Refusal(status, error)
            self.cycle.message_event.set()
            return
        offered = next((value for name, value in self.headers or () if name == b"x-request-id"), None)
        refused = request_id(offered)
        logger.warning("refused with %d, request %s: %s", status, refused, error)
        now = self.loop.time()
        if self.front is not None:
            since = now if self.receiving_since is None else self.receiving_since
            self.front.telemetry.requests.refuse(status, now - since)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # requests before this one still wait: their answers, then uvicorn closes
            return
        self.socket.write(raw_error(status, error, refused))
        self.finish(now + LINGER_SECONDS)

    def finish(self, limit: float | None = None) -> None:
        """Close the connection after what was written: at once, or when a client that is sending can have read it.

        What is left of its request is read and thrown away until it is complete, or nothing has come for a while, or
        its time to arrive is over.

        limit: the latest time to close, on the loop's clock; by default, when the request's time to arrive is over
        """
        if self.is_finished or self.socket.is_closing():
            return
        self.is_finished = True
        if self.is_head and self.receiving_since is None:
            self.close()
            return
        self.flow.resume_reading()
        self.heard = now = self.loop.time()
        since = now if self.receiving_since is None else self.receiving_since
        self.linger(max(since + RECEIVE_TIMEOUT, now + LINGER_SECONDS) if limit is None else limit)

    def close(self) -> None:
        """Close the connection once its client has read what was written, in the time that any answer has for it."""
        self.closing_since = self.loop.time()
        self.socket.close()

    def linger(self, limit: float) -> None:
        """Close the connection when nothing has come for a while, and at a limit of the loop's time at the latest."""
        now = self.loop.time()
        quiet = self.heard + LINGER_SECONDS
        if now >= quiet or now >= limit:
            self.close()
        else:
            self.loop.call_at(min(quiet, limit), self.linger, limit)
