"""One shape for every error: `{"error": ..., "detail": [...], "request_id": ...}`.

At the second door it is `{"error": ...}` alone, as the Open Inference Protocol has it.
"""

import json
import logging
import random
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving.http.request import header, is_of_health, is_of_protocol
from slipway.serving.observe import log

logger = logging.getLogger("bentoml.request")
MAX_PROBLEMS = 20
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def problem(error: Mapping[str, Any]) -> dict[str, Any]:
    """One of pydantic's errors, said for the person who sent the request: which record, which field, what is wrong."""
    location = list(error["loc"])
    where: dict[str, Any] = {}
    if location[:1] == ["records"]:
        location = location[1:]
        if location and isinstance(location[0], int):
            where["record"] = location.pop(0)
        elif not location:
            where["field"] = "records"
    if location:
        where["field"] = ".".join(map(str, location))[:100]
    return {**where, "problem": error["msg"]}


def new_request_id() -> str:
    """An id for a request whose client gave none: 32 hexadecimal digits. It is no secret."""
    return f"{random.getrandbits(128):032x}"


def raw_error(status: int, error: str, request_id: str) -> bytes:
    """A whole response with an error in the one shape, for a connection that is closed after it."""
    body = json.dumps({"error": error, "detail": [], "request_id": request_id})
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", body]).encode()


def error_body(status: int, body: bytes, request_id: str, *, of_protocol: bool = False) -> bytes:
    """The error in the one shape, from whatever BentoML or Starlette wrote: a JSON object, a list of one, or text.

    of_protocol: whether it is the shape of the Open Inference Protocol, the `error` alone
    """
    try:
        said = json.loads(body)
    except ValueError:
        said = body.decode(errors="replace").strip()
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    detail: list[dict[str, Any]] = []
    if isinstance(said, dict):
        problems = said.get("detail", [])
        detail = [problem(error) for error in problems[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            detail.append({"problem": f"and {len(problems) - MAX_PROBLEMS:,} more"})
        said = "invalid request" if detail else said.get("error", "")
    error = str(said) or HTTPStatus(status).phrase
    told = {"error": error} if of_protocol else {"error": error, "detail": detail, "request_id": request_id}
    return json.dumps(told).encode()


def report(scope: Scope, status: int, request_id: str, content: bytes) -> None:
    """Put an error into the log that no exception put there: one line, whatever the client sent."""
    path = scope["raw_path"][:200].decode("ascii")
    said = json.dumps(json.loads(content)["error"])[:300]
    logger.warning("%s %s refused with %d, request %s: %s", scope["method"], path, status, request_id, said)


class ErrorShape:
    """ASGI middleware: gives every response an `X-Request-ID` and every error the one shape.

    A client's own `X-Request-ID` is kept if it is up to 128 letters, digits, dots, colons, dashes or underscores. The
    log has it too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        for handler in logging.getLogger("bentoml").handlers:  # through which BentoML reports exceptions
            handler.filters.insert(0, log.RequestLog())  # before BentoML's own, which reads the level

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        offered = header(scope, b"x-request-id")
        request_id = offered if offered and REQUEST_ID.fullmatch(offered) else new_request_id()
        log.request_id.set(request_id)
        log.is_reported.set(False)
        failure: Message | None = None
        body = bytearray()
        is_started = False

        async def shaped(message: Message) -> None:
            nonlocal failure, is_started
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if message["status"] >= 400:
                    failure = message
                    return
                is_started = True
            elif failure is not None:
                body.extend(message.get("body", b""))
                if message.get("more_body", False):
                    return
                content = error_body(failure["status"], bytes(body), request_id, of_protocol=is_of_protocol(scope))
                if not log.is_reported.get() and not is_of_health(scope):
                    report(scope, failure["status"], request_id, content)
                headers = MutableHeaders(scope=failure)
                headers["Content-Type"] = "application/json"
                headers["Content-Length"] = str(len(content))
                await send(failure)
                message = {"type": "http.response.body", "body": content}
            await send(message)

        try:
            await self.app(scope, receive, shaped)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"][:200])
            if is_started or failure is not None:
                raise
            # answered here: uvicorn's own answer has neither the shape nor the request's id
            await JSONResponse({"error": "the service failed"}, 500)(scope, receive, shaped)
