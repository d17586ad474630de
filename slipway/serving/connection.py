"""One client's connection: what must be refused before there is a request that an application could refuse.

uvicorn waits for ever for the rest of a request and collects headers without end. Its documented `http` setting takes a
protocol class; BentoML leaves that at "auto", so `install` changes what "auto" names.
"""

import asyncio
import logging
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.serving.errors import new_request_id, raw_error
from slipway.serving.limits import MOST_HEAD, RECEIVE_SECONDS

LINGER_SECONDS = 1.0
logger = logging.getLogger("bentoml.connection")


def install() -> None:
    """Make uvicorn speak HTTP through `Connection` in this process, from the next server that it starts."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__qualname__}"


class JoinedWrites:
    """A transport that sends a head together with the body after it.

    uvicorn writes them apart, and each write is a system call: a tenth of what a small request costs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send what was kept and this; or keep this, if nothing was, until the next write or turn of the event loop."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what was kept."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what was kept, and close."""
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a limit to the size of a head and to the time that a request may take to arrive.

    Bytes that are no HTTP, a head too large and a request too slow get an error in the one shape, and the connection is
    closed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # BentoML silences it, but uvicorn would still put its lines together
        self.receiving_since: float | None = None  # None between requests: then uvicorn's keep-alive limit holds
        self.head: int | None = 0  # bytes of the present head so far; None once it is complete
        self.refused = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first request must be complete in time, too."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        self.receiving_since = self.loop.time()
        self.timer = self.loop.call_later(RECEIVE_SECONDS, self.check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        if self.timer is not None:
            self.timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.refused:
            return
        if self.receiving_since is None:
            self.receiving_since = self.loop.time()
        if self.head is not None:
            self.head += len(data)
        super().data_received(data)
        if self.head is not None and self.head > MOST_HEAD:
            self.refuse(431, f"the headers are larger than {MOST_HEAD:,} bytes")

    def on_headers_complete(self) -> None:
        """The head is complete; `Limits` judges it as a whole."""
        self.head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.receiving_since = None
        self.head = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self.refuse(400, "this is not HTTP/1.1")

    def check_time(self) -> None:
        """Send away who is too slow, and look again later."""
        if self.transport.is_closing():  # yet not lost: the client does not read what it was sent
            self.transport.abort()
            return
        now = self.loop.time()
        since = now if self.receiving_since is None else self.receiving_since
        if now - since >= RECEIVE_SECONDS:
            self.refuse(408, f"the request was not complete within {RECEIVE_SECONDS:g} seconds")
            since = now
        self.timer = self.loop.call_at(since + RECEIVE_SECONDS, self.check_time)

    def refuse(self, status: int, error: str) -> None:
        """Answer for the application, and close the connection.

        Not at once: closing it while the client is still sending would reset it, and the client would lose the answer.
        """
        if self.refused or self.transport.is_closing():
            return
        self.refused = True
        request_id = new_request_id()
        logger.warning("refused with %d, request %s: %s", status, request_id, error)
        is_answered = self.head is None and self.cycle.response_started  # and the client goes on sending its body
        if not is_answered:
            self.transport.write(raw_error(status, error, request_id))
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
