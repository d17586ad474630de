"""The service put together: what stands before BentoML's application, and the guard that lets nothing else reach it."""

from typing import Any, Protocol

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving import process
from slipway.serving.api.metrics import MetricsPage
from slipway.serving.api.page import OpenAPIPage
from slipway.serving.api.v2 import OpenInference
from slipway.serving.http import connection
from slipway.serving.http.errors import Refusal, Reply
from slipway.serving.http.front import PASSED, Front
from slipway.serving.http.request import HEALTH, Request
from slipway.serving.http.tokens import Tokens
from slipway.serving.models import Models
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.process import Worker
from slipway.serving.settings import Settings

UNGUARDED = "this server does not guard the service: start it with `bentoml serve`"


class Instance(Protocol):
    """What an instance of the service has."""

    settings: Settings
    telemetry: Telemetry
    models: Models
    worker: Worker


def guard(service: Any) -> None:
    """Let nothing reach a BentoML service that has not passed the front, whatever server it runs in.

    In a worker of `bentoml serve`, make the server speak through our connections, which ask the front. Nothing else
    changes: whoever imports the service elsewhere, beside another application say, gets no more than the guard.
    """
    service.add_asgi_middleware(Guard, service=service)
    if process.is_worker():
        connection.install()


class Guard:
    """ASGI middleware inside BentoML's application: refuses, with 503, what did not come through the front.

    When the application has started, it puts the front together and leaves it in the lifespan's state, where the
    connections find it.
    """

    def __init__(self, app: ASGIApp, service: Any) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._starting(scope, send))
        elif PASSED in scope:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            reply = Reply(Request(scope), scope["raw_path"], send, closes=True)
            await Refusal(503, UNGUARDED).response()(scope, receive, reply)
        else:  # a WebSocket
            await send({"type": "websocket.close", "code": 1008, "reason": UNGUARDED})

    def _starting(self, scope: Scope, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete" and "state" in scope:
                scope["state"][connection.FRONT] = front(scope["app"], self.service, bentoml.get_current_service())
            await send(message)

        return sent


def front(app: Any, service: Any, instance: Instance) -> Front:
    """What stands before BentoML's application (a Starlette) for an instance of a service."""
    app.router.redirect_slashes = False  # see `Front.answer`
    protocol = OpenInference(instance.models, instance.worker)
    pages = (MetricsPage(instance.telemetry), OpenAPIPage(service))
    routes = protocol.routes | {path: route for page in pages for path, route in page.routes.items()}
    for path in (*HEALTH, *routes):
        if not instance.telemetry.requests.knows(path):
            instance.telemetry.requests.serve(path, path)
    return Front(
        app,
        routes=routes,
        unknown=protocol.unknown,
        tokens=Tokens(instance.settings.tokens),
        telemetry=instance.telemetry,
        worker=instance.worker,
        cors=BentoMLContainer.access_control_options.get() if BentoMLContainer.http.cors.enabled.get() else None,
    )
