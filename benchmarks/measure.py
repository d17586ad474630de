"""What is measured: throughput, latency and CPU time under load; the start and the memory of a server."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

import psutil

from benchmarks.load import Slice, measure, post
from benchmarks.models import TEST_ROWS, Trained
from benchmarks.running import Running, ServerError, running
from benchmarks.servers import Server

T = TypeVar("T")
Loader = Callable[[int, Sequence[bytes], int, float], Slice]


@dataclass(frozen=True)
class Measured:
    """What one slice says of a server; or several: the medians of theirs, and the sum of their errors.

    The latencies are NaN if nothing was answered with 200. `busy_cores` are those of the machine, whoever used them.
    """

    rps: float
    cpu_us_per_request: float
    p50_ms: float
    p99_ms: float
    errors: int
    load_us_per_request: float
    busy_cores: float


@dataclass(frozen=True)
class Footprint:
    """What a server takes before anyone asks it.

    ready_s: from its start to its first answer, in each of some starts
    memory_mib: then, with one worker, in each of them
    second_worker_mib: what a second one adds; None if that was not measured
    """

    server: str
    model: str
    ready_s: list[float]
    memory_mib: list[float]
    second_worker_mib: float | None


@contextmanager
def loader() -> Iterator[Loader]:
    """A function like `load.measure` that runs in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ignore = (signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the bench
    with ProcessPoolExecutor(1, context, initializer=signal.signal, initargs=ignore) as pool:
        yield lambda *arguments: pool.submit(measure, *arguments).result()


def requests(server: Server, trained: Trained, rows: int) -> list[bytes]:
    """The requests of a load, to be sent in turn: single houses differ from one to the next."""
    many = TEST_ROWS if rows == 1 else 1
    batches = [trained.houses[first : first + rows] for first in range(many)]
    messages = [server.request(batch) for batch in batches]
    return [post(server.path, message.body, message.headers) for message in messages]


def measure_slice(started: Running, load: Loader, asked: Sequence[bytes], clients: int, seconds: float) -> Measured:
    """One slice of load on one server. Raises ServerError if it ends."""
    before, busy, began = started.cpu_seconds(), busy_seconds(), time.monotonic()
    seen = load(started.port, asked, clients, seconds)
    if started.process.poll() is not None:
        raise ServerError(f"{started.server.name} ended with code {started.process.returncode} while it was loaded")
    took, busy, used = time.monotonic() - began, busy_seconds() - busy, started.cpu_seconds() - before
    latencies = seen.latencies if len(seen.latencies) > 1 else 2 * (seen.latencies or [float("nan")])
    percentiles = quantiles(latencies, n=100, method="inclusive")
    return Measured(
        rps=len(seen.latencies) / seen.seconds,
        cpu_us_per_request=used / seen.asked * 1e6,
        p50_ms=percentiles[49] * 1e3,
        p99_ms=percentiles[98] * 1e3,
        errors=seen.errors,
        load_us_per_request=seen.cpu_seconds / seen.asked * 1e6,
        busy_cores=busy / took,
    )


def busy_seconds() -> float:
    """The CPU time that the machine has used since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def middle(slices: Sequence[Measured]) -> Measured:
    """The medians over several slices, and all their errors."""
    names = ("rps", "cpu_us_per_request", "p50_ms", "p99_ms", "load_us_per_request", "busy_cores")
    medians = {name: median(getattr(each, name) for each in slices) for name in names}
    return Measured(**medians, errors=sum(each.errors for each in slices))


def rotations(things: Sequence[T], rounds: int) -> Iterator[list[T]]:
    """They begin with another one in each round, so that none is always the first or the last."""
    for number in range(rounds):
        first = number % len(things)
        yield [*things[first:], *things[:first]]


def footprint(server: Server, trained: Trained, starts: int, *, is_scaled: bool) -> Footprint:
    """The start and the memory of a server. It must run alone: what others map as well would count for less.

    is_scaled: whether to start it with two workers as well
    """
    ready, memory = [], []
    for _ in range(starts):
        with running(server, trained) as started:
            started.rest()
            ready.append(round(started.ready_seconds, 2))
            memory.append(round(started.memory_mib(), 1))
    second = None
    if is_scaled:
        with running(server, trained, workers=2) as started:
            started.rest()
            second = round(started.memory_mib() - median(memory), 1)
    return Footprint(server.name, trained.name, ready, memory, second)
