"""What is let in: requests of a bearable size, no more of them than can be answered soon."""

import asyncio
import time
from collections import deque

from starlette.types import Receive, Scope

from slipway.serving.http.errors import Refusal
from slipway.serving.http.limits import (
    MAX_BODY_BYTES,
    MAX_BUFFERED_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PENDING_REQUESTS,
    MAX_QUEUE_SECONDS,
    RETRY_AFTER_SECONDS,
)

BYTES_A_ROUND = 64 << 10  # bytes of bodies to work on before the event loop looks for new requests
BYTES_A_REQUEST = 1 << 10  # bytes that even the smallest request counts as, beside its body
FAULT = "slipway.fault"  # in the scope of a request: its connection puts a Refusal there if the rest will not come


def too_busy() -> Refusal:
    wait = str(RETRY_AFTER_SECONDS)
    return Refusal(429, f"too many requests at this moment: try again in {wait} s", {"Retry-After": wait})


def too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes: send the records in parts")


def check_head(scope: Scope) -> None:
    """Raises Refusal if the head of a request, or what it says of its body, is too large."""
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS:
        raise Refusal(431, f"{len(headers):,} headers, at most {MAX_HEADERS} are read")
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise too_large()
    if size > MAX_HEAD_BYTES:
        raise Refusal(431, f"the headers are larger than {MAX_HEAD_BYTES:,} bytes")


class Turns:
    """Says when a request may be worked on: in order, some tens of milliseconds of work in a round of the event loop.

    Between two rounds the loop reads what has arrived: so all that have are counted, those too many are sent away at
    once instead of after a long wait, and a probe is answered while a thousand large requests wait.
    """

    def __init__(self) -> None:
        self.room = BYTES_A_ROUND
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.is_counting = False

    async def mine(self, size: int) -> None:
        """Wait for the turn of a request whose body has a size."""
        loop = asyncio.get_running_loop()
        if not self.is_counting:
            self.is_counting = True
            loop.call_soon(self.next_round, loop)
        size += BYTES_A_REQUEST
        if self.room > 0 and not self.waiting:
            self.room -= size
        else:
            turn = loop.create_future()
            self.waiting.append((size, turn))
            await turn

    def next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let in as many as there is room for."""
        self.is_counting = bool(self.waiting) or self.room < BYTES_A_ROUND
        self.room = BYTES_A_ROUND
        while self.waiting and self.room > 0:
            size, turn = self.waiting.popleft()
            if not turn.done():  # or else its client is gone
                self.room -= size
                turn.set_result(None)
        if self.is_counting:
            loop.call_soon(self.next_round, loop)


class Admission:
    """Lets a request in once it is complete and it is its turn, with its body in one piece."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.buffered = 0  # bytes of bodies
        self.pending = 0  # requests that are complete and not answered

    async def admit(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request, once it is its turn. Whoever called this calls `release` when it is answered.

        Raises Refusal if the body is too large or too late, or there are too many; there is nothing to release then.
        """
        body = bytearray()
        is_complete = False
        try:
            while not is_complete:
                message = await receive()
                if message["type"] == "http.disconnect":
                    # nobody reads it, but without an answer the request would count as the service's failure
                    raise Refusal(408, "the client left before its request was complete")
                chunk = message["body"]
                body += chunk
                self.buffered += len(chunk)
                if len(body) > MAX_BODY_BYTES:
                    raise too_large()
                if self.buffered > MAX_BUFFERED_BYTES:
                    raise too_busy()
                is_complete = not message["more_body"]
                if FAULT in scope:
                    raise scope[FAULT]
            self.pending += 1
            if self.pending > MAX_PENDING_REQUESTS:
                raise too_busy()
            arrived = time.monotonic()
            await self.turns.mine(len(body))
            if time.monotonic() - arrived > MAX_QUEUE_SECONDS:
                raise too_busy()
        except BaseException:
            self.buffered -= len(body)
            self.pending -= is_complete
            raise
        return bytes(body)

    def release(self, size: int) -> None:
        """A request whose body has a size, and which was admitted, is answered."""
        self.buffered -= size
        self.pending -= 1
