"""What Prometheus is told: requests, predictions, and the bins that drift is computed from.

prometheus_client adds up the workers, by files that they share. It takes microseconds to count, which is nothing for a
request, but too much for each of its values: those are counted in plain integers and handed over once a second.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway.cases import CASES
from slipway.serving.http.request import HEALTH
from slipway.serving.observe.drift import Reference

FLUSH_SECONDS = 1.0
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the folder of the workers' files, which `bentoml serve` makes

if SHARED in os.environ:
    # prometheus_client asks for the process id at each count, a system call, in case the process was forked: ours never
    process_id = os.getpid()
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: process_id)  # type: ignore[no-untyped-call]

# BentoML's own metrics under its own names and labels. Its middleware, which is off, takes a third of a request's time
# and makes a new series of every path that anyone asks for.
LABELS = ["endpoint", "service_name", "service_version", "runner_name"]
REQUESTS = Counter("bentoml_service_request_total", "Requests, by endpoint and status", [*LABELS, "http_response_code"])
DURATION = Histogram(
    "bentoml_service_request_duration_seconds",
    "Time from a request's head to the end of its answer",
    [*LABELS, "http_response_code"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_PROGRESS = Gauge(
    "bentoml_service_request_in_progress", "Requests that are not answered yet", LABELS, multiprocess_mode="livesum"
)
PREDICTIONS = Counter(
    "slipway_predictions_total",
    "Records answered; requests refused (4xx) and failed (5xx), whose records nobody counted",
    ["case", "version", "outcome"],
)
BINS = Counter(
    "slipway_feature_bin_total", "Values served, by the bin of the reference", ["case", "version", "feature", "bin"]
)
SHARES = Gauge(
    "slipway_reference_share",
    "Share of the training split in a bin, with half an observation added to each",
    ["case", "version", "feature", "bin"],
    multiprocess_mode="max",
)
LOST_ROWS = Counter("slipway_prediction_log_lost_rows_total", "Predictions that could not be written to the log")

flushes: list[Callable[[], None]] = []  # what hands plain integers over, of each object that counts so
predictions: dict[str, "Predictions"] = {}  # by endpoint: who answers there
endpoints = {path: path for path in (*HEALTH, "/", "/docs.json", "/metrics", "/v2")}  # by path: as what it is counted


def flush() -> None:
    """Hand over what was counted since the last time."""
    for each in flushes:
        each()


async def keep_flushing() -> None:
    """Hand over once a second, for as long as the worker lives."""
    while True:
        flush()
        await asyncio.sleep(FLUSH_SECONDS)


def forget_the_dead() -> None:
    """Take requests in progress out of the sum that belong to workers which were killed."""
    for file in Path(os.environ.get(SHARED, "/nonexistent")).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)  # asks whether there is such a process
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


class Predictions:
    """Counts what one model answers, and what it would have."""

    def __init__(self, case: str, version: str, reference: Reference) -> None:
        self.answered = 0
        self.answers = PREDICTIONS.labels(case, version, "answered")
        self.unanswered = {outcome: PREDICTIONS.labels(case, version, outcome) for outcome in ("refused", "failed")}
        self.counters = {
            feature: [BINS.labels(case, version, feature, name) for name in bins.names]
            for feature, bins in reference.bins.items()
        }
        for feature, bins in reference.bins.items():
            for name, share in zip(bins.names, bins.shares, strict=True):
                SHARES.labels(case, version, feature, name).set(share)
        self.reference = reference
        flushes.append(self.flush)
        typed, model = CASES[case].route, f"/v2/models/{case}"
        predictions[typed] = predictions[f"{model}/infer"] = self
        endpoints[typed] = typed
        for what in ("", "/ready", "/infer"):
            endpoints[model + what] = endpoints[f"{model}/versions/{version}{what}"] = model + what

    def unanswer(self, status: int) -> None:
        """Count a request that got an error."""
        self.unanswered["refused" if status < 500 else "failed"].inc()

    def flush(self) -> None:
        """Hand over the records answered and the bins' counts."""
        self.answers.inc(self.answered)
        self.answered = 0
        for feature, bins in self.reference.bins.items():
            for counter, count in zip(self.counters[feature], bins.take(), strict=True):
                if count:
                    counter.inc(count)


class RequestMetrics:
    """ASGI middleware: counts requests, how long they take and how they end.

    A path that nobody serves is counted as `other`: whoever asks for a thousand of them makes no thousand series.
    """

    def __init__(self, app: ASGIApp, service: Any) -> None:
        self.app = app
        name, version = service.name, "not available"
        if service.bento is not None:
            name, version = service.bento.tag.name, service.bento.tag.version
        self.labels = {"service_name": name, "service_version": version, "runner_name": service.name}
        self.in_progress: dict[str, int] = defaultdict(int)
        self.finished: dict[tuple[str, int], int] = defaultdict(int)
        self.children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        flushes.append(self.flush)

    def metrics_of(self, endpoint: str, status: int) -> tuple[Counter, Histogram]:
        """The counter and the histogram of an endpoint and a status."""
        found = self.children.get((endpoint, status))
        if found is None:
            labels = self.labels | {"endpoint": endpoint, "http_response_code": status}
            found = self.children[endpoint, status] = REQUESTS.labels(**labels), DURATION.labels(**labels)
        return found

    def flush(self) -> None:
        """Hand over the requests, and make the series whose first increase must not be missed."""
        for endpoint in predictions:
            self.metrics_of(endpoint, 200), self.metrics_of(endpoint, 500)
        finished, self.finished = self.finished, defaultdict(int)
        for (endpoint, status), count in finished.items():
            self.metrics_of(endpoint, status)[0].inc(count)
        for endpoint, count in self.in_progress.items():
            IN_PROGRESS.labels(endpoint=endpoint, **self.labels).set(count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        endpoint = endpoints.get(scope["path"], "other")
        started = time.perf_counter()
        status = 500  # unless something is sent

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.in_progress[endpoint] += 1
        try:
            await self.app(scope, receive, counted)
        finally:
            self.in_progress[endpoint] -= 1
            self.finished[endpoint, status] += 1
            self.metrics_of(endpoint, status)[1].observe(time.perf_counter() - started)
            if status >= 400 and endpoint in predictions:
                predictions[endpoint].unanswer(status)


class MetricsPage:
    """ASGI middleware that answers `GET /metrics`: all metrics of all workers, in Prometheus' text format."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/metrics":
            await self.app(scope, receive, send)
            return
        if scope["method"] != "GET":
            refusal = JSONResponse({"error": "only GET is answered here"}, 405, {"Allow": "GET"})
            await refusal(scope, receive, send)
            return
        flush()
        registry = REGISTRY
        if SHARED in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text = await anyio.to_thread.run_sync(generate_latest, registry)
        await Response(text, media_type=CONTENT_TYPE_LATEST)(scope, receive, send)
