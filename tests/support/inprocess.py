"""The front of the service without a server between: what needs no socket is asked so."""

import asyncio

import httpx
from starlette.responses import PlainTextResponse

from service import Slipway
from slipway.serving.api.v2 import OpenInference
from slipway.serving.http.front import Front
from slipway.serving.http.tokens import Tokens
from slipway.serving.models import Models
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.process import Worker
from slipway.serving.settings import Settings


class InProcess(httpx.BaseTransport):
    """Asks an ASGI application without a server between."""

    def __init__(self, app):
        self.app = app
        self.transport = httpx.ASGITransport(app)

    def handle_request(self, request):
        async def ask():
            response = await self.transport.handle_async_request(request)
            return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

        return asyncio.run(ask())


def load_models():
    """The newest release of every case."""
    return Models.load(Slipway, Telemetry(), Settings())


def front(models=None, app=None, tokens=(), **options):
    """What stands before an application, which answers `elsewhere` unless another one is given."""
    telemetry = Telemetry()
    worker = Worker(telemetry, drain_seconds=0)
    worker.is_ready = True
    protocol = OpenInference(models or Models({}), worker)
    return Front(
        app or PlainTextResponse("elsewhere"),
        routes=protocol.routes,
        unknown=protocol.unknown,
        tokens=Tokens(tokens),
        telemetry=telemetry,
        worker=worker,
        **options,
    )


def client(app):
    """A client of an application."""
    return httpx.Client(transport=InProcess(app), base_url="http://api")
