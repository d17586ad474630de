"""What the service answers itself, at paths that are all known when it starts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from slipway.serving.http.errors import Refusal
from slipway.serving.http.request import Request

Handler = Callable[[Request, bytes], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """What answers at a path: a handler, which takes a request and its body and may raise Refusal."""

    handler: Handler
    methods: tuple[str, ...] = ("GET", "HEAD")

    async def answer(self, request: Request, body: bytes) -> Response:
        """The handler's answer. Raises Refusal for a method that is not one of these."""
        if request.method not in self.methods:
            allowed = ", ".join(self.methods)
            raise Refusal(405, f"{request.method} is not answered here, {allowed} is", {"Allow": allowed})
        return await self.handler(request, body)


Routes = Mapping[str, Route]
