"""A server that runs: it is started, asked, watched and stopped."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import psutil

from benchmarks.models import DOLLARS, RELATIVE, TEST_ROWS, Trained
from benchmarks.servers import Server
from benchmarks.tensors import JSON_SIZE, Houses, Message

READY_SECONDS = 120.0
STOP_SECONDS = 20.0
REFUSALS = (400, 415, 422)  # by a server that is ready, and will not be of another mind later
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the machine is set to
# values that a house cannot have, by what a server must check to notice
WRONG: dict[str, dict[str, Any]] = {
    "types": {"living_area": "large"},
    "ranges": {"living_area": -5.0},
    "words": {"neighborhood": "atlantis"},
}
IDLE_SECONDS, IDLE_SHARE = 0.5, 0.05  # at rest is who uses less than this share of a core for so long


class ServerError(Exception):
    """A server that does not start, or answers otherwise than the model."""


@dataclass
class Running:
    """A server that has been started.

    ready_seconds: how long it took from its start to its first answer
    """

    server: Server
    process: psutil.Popen
    port: int
    ready_seconds: float = float("nan")

    def tree(self) -> list[psutil.Process]:
        """Its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """What its processes have used since they started, those that have ended among them."""
        return sum(sum(process.cpu_times()[:4]) for process in self.tree())

    def memory_mib(self) -> float:
        """The memory of its processes. On Linux, what several of them share is counted once."""
        infos = [process.memory_full_info() for process in self.tree()]
        return sum(getattr(info, "pss", info.uss) for info in infos) / 2**20

    def rest(self) -> None:
        """Wait until it has nothing more to do: a second worker may still start when the first has answered."""
        used, before, deadline = self.cpu_seconds(), -1.0, time.monotonic() + READY_SECONDS
        while used - before > IDLE_SHARE * IDLE_SECONDS and time.monotonic() < deadline:
            with suppress(psutil.TimeoutExpired):
                raise ServerError(f"{self.server.name} ended with code {self.process.wait(IDLE_SECONDS)}")
            before, used = used, self.cpu_seconds()

    def ask(self, houses: Houses) -> list[float]:
        """The prices of some houses. Raises OSError if it does not answer, or refuses."""
        url = f"http://127.0.0.1:{self.port}{self.server.path}"
        message = self.server.request(houses)
        with DIRECT.open(urllib.request.Request(url, message.body, message.headers), timeout=30) as response:
            size = response.headers[JSON_SIZE]
            return self.server.answer(Message(response.read(), None if size is None else int(size)))

    def refuses(self, houses: Houses) -> bool:
        """Whether it says that these houses are wrong. A server that crashes over them has not checked them."""
        try:
            self.ask(houses)
        except HTTPError as error:
            return 400 <= error.code < 500
        return False

    def check(self, trained: Trained) -> None:
        """Raises ServerError unless it prices test houses as the model does, and checks its input as is said of it.

        The tolerance is that of `models`.
        """
        try:
            found, expected = np.array(self.ask(trained.houses[:TEST_ROWS])), trained.prices[:TEST_ROWS]
        except OSError as error:
            raise ServerError(f"{self.server.name} does not price {TEST_ROWS} houses: {error}") from error
        if found.shape != expected.shape:
            raise ServerError(f"{self.server.name} gives {len(found)} prices for {len(expected)} houses")
        wrong = ~np.isclose(found, expected, rtol=RELATIVE, atol=DOLLARS)
        if wrong.any():
            row = int(wrong.argmax())
            raise ServerError(
                f"{self.server.name} serves another model: {wrong.sum()} of {len(found)} prices differ from those of "
                f"the {trained.name}. House {row}: ${found[row]:,.2f} instead of ${expected[row]:,.2f}"
            )
        house = trained.houses[0]
        wrongs = {name: self.refuses([house, house | value]) for name, value in WRONG.items()}
        if self.server.is_binary:  # the bytes of a number are a number
            wrongs["types"] = wrongs["ranges"]
        checked = {name: name in self.server.checks_input for name in WRONG}
        if wrongs != checked:
            refused = [name for name, is_refused in wrongs.items() if is_refused]
            raise ServerError(
                f"{self.server.name} is said to check {self.server.checks_input}. "
                f"It checks {' and '.join(refused) or 'nothing'}: correct `checks_input` in benchmarks/servers.py"
            )


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running(server: Server, trained: Trained, workers: int = 1) -> Iterator[Running]:
    """A server of a model, from when it is ready until it is no longer needed. Raises ServerError if it does not start.

    It has a BentoML home of its own: a service that starts clears the metrics of any other with the same one.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        (home / "models").symlink_to(trained.store)
        port, port2, port3 = free_ports(3)
        words = {
            "port": port,
            "port2": port2,
            "port3": port3,
            "workers": workers,
            "pool": workers if workers > 1 else 0,
            "model": trained.folder,
            "home": home,
        }
        # what a person has set for a service of their own is not for these
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(("BENTOML_", "SLIPWAY_"))}
        variables = theirs | {
            "PATH": f"{server.python.parent}{os.pathsep}{os.environ['PATH']}",
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "True",
            "ORT_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "true",
            "SLIPWAY_DRAIN_SECONDS": "0",
            "OMP_NUM_THREADS": "1",
        }
        variables |= {name: value.format(**words) for name, value in server.variables.items()}
        command = [word.format(**words) for word in server.command.split()]
        log = home / "log"
        options: dict[str, Any] = {
            "cwd": server.place,
            "env": variables,
            "stdout": stack.enter_context(log.open("w")),
            "stderr": subprocess.STDOUT,
        }
        try:
            prepared = trained.folder / f"{server.name}.prepared"
            if server.prepare and not prepared.exists():
                subprocess.run(server.prepare.split(), check=True, **options)
                prepared.touch()
            # a session of its own, to be ended as one; Ctrl+C is for the bench, which then ends its servers
            process = psutil.Popen(command, start_new_session=True, **options)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerError(f"{server.name} does not start: {error}\n{log.read_text()}") from error
        stack.callback(stop, process)
        started = Running(server, process, port)
        try:
            started.ready_seconds = wait_until_ready(started, trained)
        except TimeoutError as error:
            raise ServerError(f"{server.name} does not start: {error}\n{log.read_text()}") from error
        yield started


def wait_until_ready(started: Running, trained: Trained) -> float:
    """The seconds until the first answer. Raises TimeoutError if none comes, ServerError if the request is refused."""
    began = time.monotonic()
    said: OSError | None = None
    while time.monotonic() < began + READY_SECONDS:
        try:
            started.ask(trained.houses[:1])
            return time.monotonic() - began
        except OSError as error:
            if isinstance(error, HTTPError) and error.code in REFUSALS:
                raise ServerError(f"{started.server.name} refuses the bench's request: {error}") from error
            said = error
        with suppress(psutil.TimeoutExpired):
            raise TimeoutError(f"it ended with code {started.process.wait(0.02)}")
    raise TimeoutError(f"no price after {READY_SECONDS:.0f} s: {said}")


def stop(process: psutil.Popen) -> None:
    """End a server with all its processes."""
    tree = [process]
    with suppress(psutil.NoSuchProcess):
        tree += process.children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    for left in psutil.wait_procs(tree, timeout=STOP_SECONDS)[1]:
        left.kill()
    process.wait()
