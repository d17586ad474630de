"""The page at `/`: the service's OpenAPI description, to read and to try.

BentoML's own page tells Google Tag Manager of each visit and loads pictures from other sites. This one loads nothing
but the Swagger UI that BentoML serves, and describes this service.
"""

import json
from functools import cached_property
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.serving.api.openapi import describe

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slipway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static_content/swagger-ui.css">
<style>
/* there is one server, and the errors have one shape: the answer and the first error show enough */
.servers-title, .servers, .operation-servers, .opblock-section-request-body + .opblock-section { display: none }
.response:not([data-code="200"], [data-code="400"]) .response-col_description > :not(:first-child) { display: none }
</style>
</head>
<body>
<div id="page"></div>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "docs.json", dom_id: "#page", deepLinking: true, tryItOutEnabled: true, docExpansion: "list",
                 defaultModelsExpandDepth: -1});
</script>
</body>
</html>
"""


class OpenAPIPage:
    """ASGI middleware that answers `GET /` and `GET /docs.json` and leaves all else to the service."""

    def __init__(self, app: ASGIApp, service: Any) -> None:
        self.app = app
        self.service = service

    @cached_property
    def specification(self) -> dict[str, Any]:
        """The description, made when it is first asked for."""
        specification = json.dumps(self.service.openapi_spec.asdict())  # makes strings of the keys that are numbers
        return describe(json.loads(specification))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response | None = None
        if scope["type"] == "http" and scope["method"] == "GET":
            if scope["path"] == "/":
                answer = HTMLResponse(PAGE)
            elif scope["path"] == "/docs.json":
                answer = JSONResponse(self.specification)
        await (answer or self.app)(scope, receive, send)
