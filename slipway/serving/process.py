"""The processes of the service: a supervisor, which starts workers, and a worker's life from ready to gone."""

import asyncio
import atexit
import gc
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import bentoml

from slipway.serving.observe import log, metrics
from slipway.serving.observe.metrics import Telemetry

logger = logging.getLogger("bentoml.process")
ORPHAN_SECONDS = 1.0
# What the supervisor tells its workers, by the environment that they inherit.
SUPERVISOR = "SLIPWAY_SUPERVISOR"  # its process id
METRICS_FOLDER = "SLIPWAY_METRICS_FOLDER"  # where the workers share their counts


def is_worker() -> bool:
    """Whether this process is a worker that `bentoml serve` started, and a supervisor of ours before that."""
    return bentoml.server_context.worker_index is not None and SUPERVISOR in os.environ


def supervise() -> None:
    """Runs once in the supervisor, before any worker starts: prepares what the workers inherit.

    Their counts lie in a folder of their own. BentoML's lies in its home, and is emptied by whoever starts next there.
    """
    folder = tempfile.mkdtemp(prefix="slipway-metrics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[METRICS_FOLDER] = folder
    os.environ[SUPERVISOR] = str(os.getpid())


def telemetry(service: Any) -> Telemetry:
    """The counts of this process, for a BentoML service; a worker shares them with the others."""
    if is_worker():
        metrics.share(Path(os.environ[METRICS_FOLDER]))
    if service.bento is None:
        return Telemetry(service.name)
    return Telemetry(service.bento.tag.name, service.bento.tag.version)


def give_up(error: Exception) -> NoReturn:
    """End the service, with one line: a worker cannot start, and would be started again for ever.

    That is so where the model files were spoilt after the service started, and a worker has died since. The other
    workers finish what they have; the next start of the service fails with the same line.

    Raises the error where this process is no worker: there is no service to end, and its parent is somebody's shell.
    """
    if not is_worker():
        raise error
    logger.error("the service ends: %s", error)
    if os.getppid() == int(os.environ[SUPERVISOR]):
        os.kill(os.getppid(), signal.SIGTERM)
    os._exit(1)


class Worker:
    """This process, as one that answers.

    is_ready: whether it is to be asked
    is_draining: whether it will stop soon, so that clients should connect anew, to another one, for their next request.
        Otherwise they would learn it from a connection that is closed while they send.
    """

    def __init__(self, telemetry: Telemetry, drain_seconds: float) -> None:
        self.is_ready = False
        self.is_draining = False
        self._telemetry = telemetry
        self._drain_seconds = drain_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop: Any = signal.SIG_DFL

    async def start(self) -> None:
        """Begin to serve: to be called once the models are loaded."""
        log.install()
        self._tasks.add(asyncio.create_task(self._telemetry.keep_flushing()))
        if is_worker():
            self._telemetry.forget_the_dead()
            gc.collect()
            gc.freeze()  # what is loaded stays: the collector need not look at it again with each round
            # nor at each 700 objects more, as it does by default: a large body has a hundred thousand, and no cycles
            gc.set_threshold(50_000, 10, 10)
            # uvicorn's handler, which ends the server. It remains that of SIGINT: Ctrl+C does not wait.
            self._stop = signal.getsignal(signal.SIGTERM)
            self._loop = asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, self.terminate)
            self._tasks.add(asyncio.create_task(self.watch_supervisor()))
        self.is_ready = True

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: no longer ready, and gone when the load balancers have noticed. A second one does not wait."""
        wait = 0.0 if self.is_draining else self._drain_seconds
        self.is_ready, self.is_draining = False, True
        self._loop.call_soon_threadsafe(self._loop.call_later, wait, self._stop, number, frame)

    async def watch_supervisor(self) -> None:
        """Stop when the supervisor is gone, perhaps even before this worker was ready: nobody else could stop it."""
        while os.getppid() == int(os.environ[SUPERVISOR]):
            await asyncio.sleep(ORPHAN_SECONDS)
        self.is_ready = False
        os.kill(os.getpid(), signal.SIGINT)
