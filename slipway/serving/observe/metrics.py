"""What Prometheus is told: requests, predictions, and the bins that drift is computed from.

prometheus_client adds up the workers, by files that they share. It takes microseconds to count, which is nothing for a
request, but too much for each of its values: those are counted in plain integers and handed over once a second.
"""

import asyncio
import logging
import os
from collections import defaultdict
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess, values

from slipway.core.case import Case
from slipway.serving.observe.drift import Reference

FLUSH_SECONDS = 1.0
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client keeps the files that the workers share

# BentoML's own metrics under its own names and labels. Its middleware, which is off, takes a third of a request's time
# and makes a new series of every path that anyone asks for.
LABELS = ["endpoint", "service_name", "service_version", "runner_name"]
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
OF_BIN = ["case", "version", "feature", "bin"]
OTHER = "other"  # what a path is counted as that nobody serves, so that a thousand of them make no thousand series

logger = logging.getLogger("bentoml.metrics")


def share(folder: Path) -> None:
    """Let the metrics that this process makes from now on be added up with those of others, by files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[FOLDER] = str(folder)
    # prometheus_client asks for the process id at each count, a system call, in case the process was forked: ours never
    process_id = os.getpid()
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: process_id)  # type: ignore[no-untyped-call]


class Requests:
    """Counts requests, how long they take and how they end."""

    def __init__(self, telemetry: "Telemetry", service: str, version: str) -> None:
        registry = telemetry.registry
        self._telemetry = telemetry
        self._counter = Counter(
            "bentoml_service_request_total",
            "Requests, by endpoint and status",
            [*LABELS, "http_response_code"],
            registry=registry,
        )
        self._duration = Histogram(
            "bentoml_service_request_duration_seconds",
            "Time from a request's head to the end of its answer",
            [*LABELS, "http_response_code"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._gauge = Gauge(
            "bentoml_service_request_in_progress",
            "Requests that are not answered yet",
            LABELS,
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._labels = {"service_name": service, "service_version": version, "runner_name": service}
        self._endpoints: dict[str, str] = {}
        self._in_progress: dict[str, int] = defaultdict(int)
        self._finished: dict[tuple[str, int], int] = defaultdict(int)
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def serve(self, path: str, endpoint: str) -> None:
        """Count a path that somebody serves as an endpoint of its own."""
        self._endpoints[path] = endpoint

    def knows(self, path: str) -> bool:
        """Whether somebody serves a path."""
        return path in self._endpoints

    def begin(self, path: str) -> str:
        """A request for a path begins. The endpoint that it is counted as."""
        endpoint = self._endpoints.get(path, OTHER)
        self._in_progress[endpoint] += 1
        return endpoint

    def end(self, endpoint: str, status: int, seconds: float) -> None:
        """A request of an endpoint has ended with a status."""
        self._in_progress[endpoint] -= 1
        self._finished[endpoint, status] += 1
        self._of(endpoint, status)[1].observe(seconds)
        if status >= 400 and (predictions := self._telemetry.predictions.get(endpoint)) is not None:
            predictions.unanswered(status)

    def refuse(self, status: int, seconds: float) -> None:
        """What came over a connection was refused before there was a request."""
        self.end(self.begin(OTHER), status, seconds)

    def flush(self) -> None:
        """Hand over the requests, and make the series whose first increase must not be missed."""
        for endpoint in self._telemetry.predictions:
            self._of(endpoint, 200), self._of(endpoint, 500)
        finished, self._finished = self._finished, defaultdict(int)
        for (endpoint, status), count in finished.items():
            self._of(endpoint, status)[0].inc(count)
        for endpoint, count in self._in_progress.items():
            self._gauge.labels(endpoint=endpoint, **self._labels).set(count)

    def _of(self, endpoint: str, status: int) -> tuple[Counter, Histogram]:
        """The counter and the histogram of an endpoint and a status."""
        found = self._children.get((endpoint, status))
        if found is None:
            labels = self._labels | {"endpoint": endpoint, "http_response_code": str(status)}
            found = self._counter.labels(**labels), self._duration.labels(**labels)
            self._children[endpoint, status] = found
        return found


class Predictions:
    """Counts what one model answers, and what it would have."""

    def __init__(self, telemetry: "Telemetry", case: str, version: str, reference: Reference) -> None:
        self._reference = reference
        self._answered = 0
        self._answers = telemetry.outcomes.labels(case, version, "answered")
        self._refused = telemetry.outcomes.labels(case, version, "refused")
        self._failed = telemetry.outcomes.labels(case, version, "failed")
        self._counters = {
            feature: [telemetry.bins.labels(case, version, feature, name) for name in bins.names]
            for feature, bins in reference.bins.items()
        }
        for feature, bins in reference.bins.items():
            for name, part in zip(bins.names, bins.shares, strict=True):
                telemetry.shares.labels(case, version, feature, name).set(part)

    def answered(self, rows: int) -> None:
        """Count the records of a request that was answered."""
        self._answered += rows

    def unanswered(self, status: int) -> None:
        """Count a request that got an error."""
        (self._refused if status < 500 else self._failed).inc()

    def flush(self) -> None:
        """Hand over the records answered and the bins' counts."""
        self._answers.inc(self._answered)
        self._answered = 0
        for feature, bins in self._reference.bins.items():
            for counter, count in zip(self._counters[feature], bins.take(), strict=True):
                if count:
                    counter.inc(count)


class Telemetry:
    """All that one process counts. It is made once, and handed to whoever has something to count."""

    def __init__(self, service: str = "slipway", version: str = "not available") -> None:
        """service, version: what the requests are counted under"""
        self.registry = CollectorRegistry()
        self.outcomes = Counter(
            "slipway_predictions_total",
            "Records answered; requests refused (4xx) and failed (5xx), whose records nobody counted",
            ["case", "version", "outcome"],
            registry=self.registry,
        )
        self.bins = Counter(
            "slipway_feature_bin_total", "Values served, by the bin of the reference", OF_BIN, registry=self.registry
        )
        self.shares = Gauge(
            "slipway_reference_share",
            "Share of the training split in a bin, with half an observation added to each",
            OF_BIN,
            multiprocess_mode="max",
            registry=self.registry,
        )
        self.lost_rows = Counter(
            "slipway_prediction_log_lost_rows_total",
            "Predictions that could not be written to the log",
            registry=self.registry,
        )
        self.failed_flushes = Counter(
            "slipway_metrics_flush_failures_total",
            "Times that counts could not be handed over; they are in the log",
            registry=self.registry,
        )
        self.predictions: dict[str, Predictions] = {}  # by endpoint
        self.requests = Requests(self, service, version)
        self._is_shared = FOLDER in os.environ

    def serve(self, case: Case, version: str, reference: Reference) -> Predictions:
        """The counts of a model that answers a case from now on, in both APIs."""
        predictions = Predictions(self, case.name, version, reference)
        v1, v2 = case.route, f"/v2/models/{case.name}"
        self.predictions[v1] = self.predictions[f"{v2}/infer"] = predictions
        self.requests.serve(v1, v1)
        for what in ("", "/ready", "/infer"):
            self.requests.serve(v2 + what, v2 + what)
            self.requests.serve(f"{v2}/versions/{version}{what}", v2 + what)
        return predictions

    def flush(self) -> None:
        """Hand over what was counted since the last time. What fails is logged and counted, and the rest goes on."""
        counts: list[Predictions | Requests] = [*dict.fromkeys(self.predictions.values()), self.requests]
        for each in counts:
            try:
                each.flush()
            except Exception:
                logger.exception("some counts could not be handed over to the metrics")
                self.failed_flushes.inc()

    async def keep_flushing(self) -> None:
        """Hand over once a second, for as long as the worker lives."""
        while True:
            self.flush()
            await asyncio.sleep(FLUSH_SECONDS)

    def forget_the_dead(self) -> None:
        """Take requests in progress out of the sum that belong to workers which were killed."""
        for file in Path(os.environ.get(FOLDER, "/nonexistent")).glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            try:
                os.kill(pid, 0)  # asks whether there is such a process
            except ProcessLookupError:
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def text(self) -> bytes:
        """All metrics of all workers, in Prometheus' text format."""
        registry = self.registry
        if self._is_shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
