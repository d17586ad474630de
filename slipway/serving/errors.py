"""One shape for every error: `{"error": ..., "detail": [...], "request_id": ...}`."""

import json
import logging
import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving import log

MOST_PROBLEMS = 20
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
        where["field"] = ".".join(map(str, location))
    return {**where, "problem": error["msg"]}


def error_body(status: int, body: bytes, request_id: str) -> bytes:
    """The error in the one shape, from whatever BentoML or Starlette wrote: a JSON object, a list of one, or text."""
    try:
        said = json.loads(body)
    except ValueError:
        said = body.decode(errors="replace").strip()
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    detail: list[dict[str, Any]] = []
    if isinstance(said, dict):
        problems = said.get("detail", [])
        detail = [problem(error) for error in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            detail.append({"problem": f"and {len(problems) - MOST_PROBLEMS:,} more"})
        said = "invalid request" if detail else said.get("error", "")
    return json.dumps(
        {"error": str(said) or HTTPStatus(status).phrase, "detail": detail, "request_id": request_id}
    ).encode()


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

        offered = Headers(scope=scope).get("x-request-id", "")
        request_id = offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
        log.request_id.set(request_id)
        failure: Message | None = None
        body = bytearray()

        async def shaped(message: Message) -> None:
            nonlocal failure
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if message["status"] >= 400:
                    failure = message
                    return
            elif failure is not None:
                body.extend(message.get("body", b""))
                if message.get("more_body", False):
                    return
                content = error_body(failure["status"], bytes(body), request_id)
                headers = MutableHeaders(scope=failure)
                headers["Content-Type"] = "application/json"
                headers["Content-Length"] = str(len(content))
                await send(failure)
                message = {"type": "http.response.body", "body": content}
            await send(message)

        await self.app(scope, receive, shaped)
