"""What kind of body the typed door reads."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class JSONBodies:
    """ASGI middleware: a body that is not declared to be JSON gets 415.

    BentoML itself would read a form, a pickle or plain text as best it can, and answer about something else. A
    `Content-Type` left out counts as JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            declared = Headers(scope=scope).get("content-type", "application/json")
            if declared.partition(";")[0].strip().lower() != "application/json":
                error = f"the body must be JSON: send Content-Type: application/json, not {declared}"
                await JSONResponse({"error": error}, 415)(scope, receive, send)
                return
        await self.app(scope, receive, send)
