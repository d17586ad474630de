"""The prediction log: what was asked and answered, one line a record, to be joined with the truth when that arrives.

It is written through BentoML's monitoring, to the folder that `SLIPWAY_PREDICTION_LOG` names, and not at all without
one: records may be about people. `slipway.training.prediction_log` reads it back.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml
import msgspec
import numpy as np
from bentoml.exceptions import BentoMLException
from bentoml.monitoring import MonitorBase

from slipway.core.card import Card
from slipway.serving.observe import log
from slipway.serving.observe.metrics import LOST_ROWS

VARIABLE = "SLIPWAY_PREDICTION_LOG"
MAX_FILE_BYTES = 64 << 20  # of one file; then the next is begun
MAX_FILES = 8  # of one case and worker; the oldest is deleted. Both bound the disk: 512 MiB for each
OWN_COLUMNS = ("time", "request_id", "version", "row")

logger = logging.getLogger("bentoml.prediction_log")


def folder() -> Path | None:
    """Where the log is written; None if it is off. Raises BentoMLException if nothing can be written there."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BentoMLException(f"{VARIABLE}={named}: cannot write there: {error.strerror}") from error
    return path


class RowMonitor(MonitorBase[Any]):
    """BentoML monitor that appends each record as a line of JSON to `<folder>/<case>/<worker>.jsonl`.

    It takes whole columns, where BentoML's own monitors take value by value. Lines that cannot be written, on a full
    disk say, are counted, and the request is answered all the same.
    """

    def __init__(self, name: str, folder: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.path = Path(folder) / name / f"{bentoml.server_context.worker_index or 0}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.is_described = False
        self.is_losing = False
        self.start_record()

    def start_record(self) -> None:
        """Begin the rows of a request."""
        self.schema: list[dict[str, str]] = []
        self.columns: list[Sequence[Any]] = []

    def log_batch(self, data_batch: Iterable[Any], name: str, role: str, data_type: str) -> None:
        """One column, with a value for each record of the request."""
        self.schema.append({"name": name, "role": role, "type": data_type})
        self.columns.append(list(data_batch))

    def log(self, data: Any, name: str, role: str, data_type: str) -> None:
        """The column of a request with one record."""
        self.log_batch([data], name, role, data_type)

    def stop_record(self) -> None:
        """Append the rows of the request, and before the first ones describe the columns in `schema.json`."""
        names = [column["name"] for column in self.schema]
        lines = [msgspec.json.encode(dict(zip(names, row, strict=True))) for row in zip(*self.columns, strict=True)]
        try:
            if not self.is_described:
                self.path.with_name("schema.json").write_bytes(msgspec.json.encode(self.schema))
                self.is_described = True
            append(self.path, b"\n".join(lines) + b"\n")
            self.is_losing = False
        except OSError as error:
            LOST_ROWS.inc(len(lines))
            if not self.is_losing:  # say it once, not with each request
                logger.error("rows of the prediction log are lost: %s: %s", self.path, error.strerror)
            self.is_losing = True


def append(path: Path, data: bytes) -> None:
    """Write at the end of a file, and begin a new one when it is full. Raises OSError, and leaves no half line then."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        if file.write(data) != len(data):
            file.truncate(size)
            raise OSError(28, "No space left on device")
    if size + len(data) > MAX_FILE_BYTES:
        for age in range(MAX_FILES - 1, 0, -1):
            older = numbered(path, age)
            if older.exists():
                older.replace(numbered(path, age + 1))
        numbered(path, MAX_FILES).unlink(missing_ok=True)
        path.replace(numbered(path, 1))


def numbered(path: Path, age: int) -> Path:
    """`0.jsonl` of an age: `0.1.jsonl` is the one before."""
    return path.with_suffix(f".{age}{path.suffix}")


class PredictionLog:
    """The log of one model."""

    def __init__(self, case: str, version: str, card: Card, folder: Path) -> None:
        self.case = case
        self.version = version
        self.folder = folder
        self._inputs = {tensor.name: kind(tensor.datatype) for tensor in card.inputs}
        self._outputs = {tensor.name: kind(tensor.datatype) for tensor in card.outputs}

    def write(self, tensors: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """Log n records: inputs and outputs, arrays of n rows; where a row has several values, they are a list."""
        rows = len(next(iter(tensors.values())))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        own = ([now] * rows, [log.request_id.get()] * rows, [self.version] * rows, range(rows))
        with bentoml.monitor(self.case, RowMonitor, {"folder": str(self.folder)}) as monitor:  # type: ignore[call-overload]
            for name, values in zip(OWN_COLUMNS, own, strict=True):
                monitor.log_batch(values, name, "feature", "categorical")
            for name, datatype in self._inputs.items():
                monitor.log_batch(per_row(tensors[name]), name, "feature", datatype)
            for name, datatype in self._outputs.items():
                monitor.log_batch(per_row(outputs[name]), name, "prediction", datatype)


def per_row(array: np.ndarray) -> list[Any]:
    """What an array holds for each of its rows: a value, or a list of several. Of NaN the log makes null."""
    rows = array.reshape(len(array), -1).tolist()
    return [row[0] if len(row) == 1 else row for row in rows]


def kind(datatype: str) -> str:
    """BentoML's word for a datatype."""
    return "categorical" if datatype in ("BYTES", "BOOL") else "numerical"
