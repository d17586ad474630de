"""The page at `/`: the service's OpenAPI description, to read and to try.

BentoML's own page tells Google Tag Manager of each visit and loads pictures from other sites. This one loads nothing
but the Swagger UI that BentoML serves, and describes this service.
"""

import json
from functools import cached_property
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from slipway.serving.api.openapi import describe
from slipway.serving.http.request import Request
from slipway.serving.http.routes import Route

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
    """The page and the description that it shows."""

    def __init__(self, service: Any) -> None:
        """service: the BentoML service that is described"""
        self._service = service

    @property
    def routes(self) -> dict[str, Route]:
        """The page at `/`, and the description at `/docs.json`."""
        return {"/": Route(self._page), "/docs.json": Route(self._description)}

    @cached_property
    def specification(self) -> dict[str, Any]:
        """The description, made when it is first asked for."""
        specification = json.dumps(self._service.openapi_spec.asdict())  # makes strings of the keys that are numbers
        return describe(json.loads(specification))

    async def _page(self, request: Request, body: bytes) -> Response:
        return HTMLResponse(PAGE)

    async def _description(self, request: Request, body: bytes) -> Response:
        return JSONResponse(self.specification)
