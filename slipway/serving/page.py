"""The page at `/`: the service's OpenAPI description, to read and to try.

BentoML's own page tells Google Tag Manager of each visit and loads pictures from other sites. This one loads nothing
but the Swagger UI that BentoML serves, and describes this service.
"""

import json
from functools import cached_property
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway import __version__
from slipway.cases import CASES

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slipway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static_content/swagger-ui.css">
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
DESCRIPTION = (
    "The models of the course *Python machine learning in practice*. Each takes a list of records and answers with a "
    "list of results, in the same order, and the version of the model that gave them. Open one and press *Execute*."
)
ERROR = {
    "type": "object",
    "required": ["error", "detail", "request_id"],
    "properties": {
        "error": {"type": "string", "example": "invalid request"},
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "record": {"type": "integer", "description": "which record, from 0", "example": 0},
                    "field": {"type": "string", "description": "which of its fields", "example": "weight"},
                    "problem": {"type": "string", "example": "Input should be a valid number"},
                },
            },
        },
        "request_id": {"type": "string", "example": "6f1c1c0f5c4b4d0d8a3f0f3b8f2a7d11"},
    },
}


def describe(specification: dict[str, Any]) -> dict[str, Any]:
    """BentoML's OpenAPI description with this service's own name, words and error shape."""
    specification["info"] = {"title": "Slipway", "version": __version__, "description": DESCRIPTION}
    specification["tags"] = [{"name": "Models"}, {"name": "Operation"}]
    specification["components"]["schemas"]["Error"] = ERROR
    said = {
        400: "The request is not valid: the detail names record and field",
        415: "The body is not JSON",
        500: "The service failed: its log has the request id",
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    errors = {str(status): {"description": text, "content": content} for status, text in said.items()}
    routes = {case.route for case in CASES.values()}
    for route, methods in specification["paths"].items():
        for method in methods.values():
            method["tags"] = ["Models" if route in routes else "Operation"]
            if route in routes:
                method["summary"] = method.pop("description")
                method["responses"] = {"200": method["responses"]["200"]} | errors
    return specification


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
