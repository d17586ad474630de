"""What kind of body the service reads."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.serving.request import header


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
            encoding = header(scope, b"content-encoding")
            error = None
            if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
                error = f"the body must be JSON: send Content-Type: application/json, not {kind}"
            elif encoding is not None and encoding.strip().lower() != "identity":
                error = f"the body must be sent as it is, not with Content-Encoding: {encoding}"
            if error is not None:
                await JSONResponse({"error": error}, 415)(scope, receive, send)
                return
        await self.app(scope, receive, send)
