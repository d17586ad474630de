"""One shape for every error: `{"error": ..., "detail": [...], "request_id": ...}`.

In the v2 API it is `{"error": ...}` alone, as the Open Inference Protocol has it.
"""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import Message, Send

from slipway.serving.http.request import Request
from slipway.serving.observe import log

logger = logging.getLogger("bentoml.request")
MAX_PROBLEMS = 20


class Refusal(Exception):  # noqa: N818 - it is the client's mistake, and an answer to it
    """A request that is not answered as it was meant: the status, the words for its client, and headers beside."""

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer, which `Reply` gives the one shape."""
        return JSONResponse({"error": self.error}, self.status, self.headers)


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


def error_body(status: int, body: bytes, request_id: str, *, of_v2: bool = False) -> bytes:
    """The error in the one shape, from whatever BentoML or Starlette wrote: a JSON object, a list of one, or text.

    of_v2: whether it is the shape of the Open Inference Protocol, the `error` alone
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
        if isinstance(problems, list) and all(isinstance(each, dict) and "loc" in each for each in problems):
            detail = [problem(error) for error in problems[:MAX_PROBLEMS]]
            if len(problems) > MAX_PROBLEMS:
                detail.append({"problem": f"and {len(problems) - MAX_PROBLEMS:,} more"})
            said = "invalid request" if detail else said.get("error", "")
        else:  # Starlette and FastAPI say in `detail` what is wrong
            said = said.get("error") or problems
    error = (said if isinstance(said, str) else json.dumps(said)) or HTTPStatus(status).phrase
    told = {"error": error} if of_v2 else {"error": error, "detail": detail, "request_id": request_id}
    return json.dumps(told).encode()


def report(method: str, raw_path: bytes, status: int, request_id: str, error: str) -> None:
    """Put an error into the log that no exception put there: one line, whatever the client sent."""
    path = raw_path[:200].decode("ascii", errors="backslashreplace")
    logger.warning("%s %s refused with %d, request %s: %s", method, path, status, request_id, json.dumps(error)[:300])


class Reply:
    """What is sent for one request, as the `send` of an ASGI application.

    Every response gets the request's id, and every error the one shape and a line in the log.

    status: of the response, 500 as long as there is none
    """

    def __init__(self, request: Request, raw_path: bytes, send: Send, *, closes: bool) -> None:
        """closes: whether the client is asked to connect anew for its next request"""
        self.status = 500
        self.is_started = False
        self._request = request
        self._raw_path = raw_path
        self._send = send
        self._headers = [(b"x-request-id", request.id.encode())]
        if closes:
            self._headers.append((b"connection", b"close"))
        self._failure: Message | None = None
        self._said = b""

    async def __call__(self, message: Message) -> None:
        """Send a part of the response. That of an error is kept until it is complete."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
            if self.status >= 400:
                self._failure = message
                return
            self.is_started = True
        elif self._failure is not None:
            self._said += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_error(self._failure)
            return
        await self._send(message)

    async def _send_error(self, start: Message) -> None:
        request = self._request
        content = error_body(self.status, self._said, request.id, of_v2=request.is_of_v2)
        if not log.is_reported.get() and not request.is_of_health:
            report(request.method, self._raw_path, self.status, request.id, json.loads(content)["error"])
        headers = MutableHeaders(scope=start)
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(content))
        self.is_started = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": content})
