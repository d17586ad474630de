"""What kind of body the service reads."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.serving.http.request import header


def compressed(scope: Scope) -> str | None:
    """What to tell the client of a request whose body is not sent as it is; None if it is."""
    encoding = header(scope, b"content-encoding")
    if encoding is None or encoding.strip().lower() == "identity":
        return None
    return f"the body must be sent as it is, not with Content-Encoding: {encoding}"


class JSONBodies:
    """ASGI middleware: a body that is not declared to be JSON, or is compressed, gets 415.

    BentoML itself would read a form, a pickle or plain text as best it can, and answer about something else. A
    `Content-Type` left out counts as JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            kind = header(scope, b"content-type")
            error = compressed(scope)
            if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
                error = f"the body must be JSON: send Content-Type: application/json, not {kind}"
            if error is not None:
                await JSONResponse({"error": error}, 415)(scope, receive, send)
                return
        await self.app(scope, receive, send)
