"""A worker's life: ready, then drained, then gone; and gone as well when its supervisor is."""

import asyncio
import gc
import logging
import os
import signal
from types import FrameType
from typing import Any, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.serving.observe import metrics

logger = logging.getLogger("bentoml.lifecycle")
ORPHAN_SECONDS = 1.0
VARIABLE = "SLIPWAY_DRAIN_SECONDS"
SUPERVISOR = "SLIPWAY_SUPERVISOR"  # by which the workers learn the supervisor's process id

if metrics.SHARED not in os.environ:  # it is no worker, but perhaps a supervisor
    os.environ[SUPERVISOR] = str(os.getpid())


def drain_seconds() -> float:
    """How long a worker goes on serving after SIGTERM, for those who have not seen yet that it is not ready."""
    return float(os.environ.get(VARIABLE, "5"))


class Worker:
    """This process, as one of the service's workers."""

    def __init__(self) -> None:
        self.is_ready = False
        self.is_draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop: Any = signal.SIG_DFL

    async def start(self) -> None:
        """Begin to serve: to be called once the models are loaded."""
        metrics.forget_the_dead()
        gc.collect()
        gc.freeze()  # what is loaded stays: the collector need not look at it again with each round
        # nor at each 700 objects more, as it does by default: a large body has a hundred thousand, and no cycles
        gc.set_threshold(50_000, 10, 10)
        # uvicorn's handler, which ends the server. It remains that of SIGINT: Ctrl+C does not wait.
        self._stop = signal.getsignal(signal.SIGTERM)
        self._loop = asyncio.get_running_loop()
        signal.signal(signal.SIGTERM, self.terminate)
        for work in (metrics.keep_flushing(), self.watch_supervisor()):
            self._tasks.add(asyncio.create_task(work))
        self.is_ready = True

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: no longer ready, and gone when the load balancers have noticed. A second one does not wait."""
        wait = 0.0 if self.is_draining else drain_seconds()
        self.is_ready, self.is_draining = False, True
        self._loop.call_soon_threadsafe(self._loop.call_later, wait, self._stop, number, frame)

    async def watch_supervisor(self) -> None:
        """Stop when the supervisor is gone, perhaps even before this worker was ready: nobody else could stop it."""
        supervisor = int(os.environ.get(SUPERVISOR, os.getppid()))
        if supervisor == os.getpid():  # started by hand, without one
            return
        while os.getppid() == supervisor:
            await asyncio.sleep(ORPHAN_SECONDS)
        self.is_ready = False
        os.kill(os.getpid(), signal.SIGINT)

    def give_up(self, error: Exception) -> NoReturn:
        """End the service, with one line: a worker cannot start, and would be started again for ever.

        That is so where the model files were spoilt after the service started, and a worker has died since. The other
        workers finish what they have; the next start of the service fails with the same line.
        """
        logger.error("the service ends: %s", error)
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)


worker = Worker()


class Draining:
    """ASGI middleware: a worker that will stop asks clients to connect anew, to another one, for their next request.

    Otherwise they would learn it from a connection that is closed while they send.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive, closing if worker.is_draining else send)
