"""What is let in: requests of a bearable size, no more of them than can be answered soon."""

import asyncio
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving.limits import (
    MOST_BODY,
    MOST_HEAD,
    MOST_HEADERS,
    MOST_HELD,
    MOST_WAIT,
    MOST_WAITING,
    RETRY_AFTER,
)
from slipway.serving.request import is_of_health


class RefusalError(Exception):
    """A request that is not let in: the status and the words for its client."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def too_busy() -> RefusalError:
    return RefusalError(429, f"too many requests at this moment: try again in {RETRY_AFTER} s")


def too_large() -> RefusalError:
    return RefusalError(413, f"the body is larger than {MOST_BODY:,} bytes: send the records in parts")


def check_head(scope: Scope) -> None:
    """Raises RefusalError if the head of a request, or what it says of its body, is too large."""
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS:
        raise RefusalError(431, f"{len(headers):,} headers, at most {MOST_HEADERS} are read")
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"content-length" and int(value) > MOST_BODY:
            raise too_large()
    if size > MOST_HEAD:
        raise RefusalError(431, f"the headers are larger than {MOST_HEAD:,} bytes")


class Admission:
    """ASGI middleware: lets a request in once it is complete, and passes its body on in one piece.

    Before any work is done on it, the event loop gets a turn: so all that have arrived are counted, and those too many
    are sent away at once instead of after a long wait.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.held = 0  # bytes of bodies
        self.waiting = 0  # requests that are complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_of_health(scope):
            await self.app(scope, receive, send)
            return
        body = bytearray()
        is_complete = False
        try:
            check_head(scope)
            while not is_complete:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                chunk = message["body"]
                body += chunk
                self.held += len(chunk)
                if len(body) > MOST_BODY:
                    raise too_large()
                if self.held > MOST_HELD:
                    raise too_busy()
                is_complete = not message["more_body"]
            self.waiting += 1
            if self.waiting > MOST_WAITING:
                raise too_busy()
            arrived = time.monotonic()
            await asyncio.sleep(0)
            if time.monotonic() - arrived > MOST_WAIT:
                raise too_busy()
            await self.app(scope, again(bytes(body), receive), send)
        except RefusalError as refusal:
            headers = {"Retry-After": str(RETRY_AFTER)} if refusal.status == 429 else None
            await JSONResponse({"error": refusal.error}, refusal.status, headers)(scope, receive, send)
        finally:
            self.held -= len(body)
            self.waiting -= is_complete


def again(body: bytes, receive: Receive) -> Receive:
    """What an application receives of a request whose body was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
