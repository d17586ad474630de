"""What every request passes, in one place: it is counted, its sender known, its body complete, and then it is answered.

The service answers some paths itself and passes the rest on to BentoML's application, which this one wraps. So
BentoML's own errors and its time limit are covered too. As middlewares of the service, these steps would run behind
BentoML's tracing and that limit, which cost a small request more than the steps do.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.serving.http.admission import Admission, check_head
from slipway.serving.http.errors import Refusal, Reply
from slipway.serving.http.media import check_json
from slipway.serving.http.request import Request, again
from slipway.serving.http.routes import Handler, Routes
from slipway.serving.http.tokens import Tokens
from slipway.serving.http.uploads import Uploads
from slipway.serving.observe import log
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.process import Worker

logger = logging.getLogger("bentoml.request")
REQUEST = "slipway.request"  # in the scope: the request, as it was read
PASSED = "slipway.passed"  # in the scope of a request that has passed all that is here


class Front:
    """The ASGI application that a connection asks; it belongs to one worker and its application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Routes,
        unknown: Handler,
        tokens: Tokens,
        telemetry: Telemetry,
        worker: Worker,
        cors: Mapping[str, Any] | None = None,
    ) -> None:
        """What stands before an application.

        app: answers what none of the routes does
        routes: what is answered here, by path
        unknown: answers what is under `/v2` at none of those paths
        cors: options of Starlette's CORSMiddleware, if pages of other sites may ask
        """
        self.app = app
        self.routes = routes
        self.unknown = unknown
        self.tokens = tokens
        self.telemetry = telemetry
        self.worker = worker
        self.admission = Admission()
        self.uploads = Uploads()
        # A browser's preflight bears no token, so it is answered before anybody asks for one.
        self.inner: ASGIApp = self.pass_on if cors is None else CORSMiddleware(self.pass_on, **cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count how it ended and how long it took."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = scope[REQUEST] = Request(scope)
        log.request_id.set(request.id)
        log.is_reported.set(False)
        reply = Reply(request, scope["raw_path"], send, closes=self.worker.is_draining)
        endpoint = self.telemetry.requests.begin(request.path)
        started = time.perf_counter()
        try:
            await self.inner(scope, receive, reply)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path[:200])
            if reply.is_started:
                raise  # the connection is closed: the client must not take half an answer for a whole one
            await Refusal(500, "the service failed").response()(scope, receive, reply)
        finally:
            self.telemetry.requests.end(endpoint, reply.status, time.perf_counter() - started)

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        request: Request = scope[REQUEST]
        try:
            if request.is_of_health:
                check_head(scope)
                await self.answer(request, b"", scope, receive, send)
                return
            self.tokens.check(request)
            check_head(scope)
            body = await self.admission.admit(scope, receive)
            try:
                await self.answer(request, body, scope, again(body, receive), send)
            finally:
                self.admission.release(len(body))
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)

    async def answer(self, request: Request, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by one of the routes or by the application. Raises Refusal."""
        route = self.routes.get(request.path)
        if route is not None or request.is_of_v2:
            response = await (self.unknown(request, body) if route is None else route.answer(request, body))
            await response(scope, receive, send)
            return
        if (path := request.path.rstrip("/")) != request.path and self.telemetry.requests.knows(path):
            # BentoML would redirect, to an address that has lost what a proxy before it had put there
            raise Refusal(404, f"nothing is here: did you mean {path}, without the slash at its end?")
        if request.method == "POST":
            if self.uploads.is_for(request):
                scope, receive = await self.uploads.record(request, scope, receive)
            else:
                check_json(request)
        await self.app({**scope, PASSED: True}, receive, send)
