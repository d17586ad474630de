"""The prediction log: what was asked and answered, one line a record, to be joined with the truth when that arrives.

It is written through BentoML's monitoring, to the folder that `SLIPWAY_PREDICTION_LOG` names, and not at all without
one: records may be about people. `slipway.training.prediction_log` reads it back.
"""

import errno
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import bentoml
import msgspec
import numpy as np
from bentoml.monitoring import MonitorBase
from prometheus_client import Counter

from slipway.core.card import Card
from slipway.serving.observe import log

MAX_FILE_BYTES = 64 << 20  # of one file; then the next is begun
MAX_FILES = 8  # of one case and worker; the oldest is deleted. Both bound the disk: 512 MiB for each
OWN_COLUMNS = ("time", "request_id", "version", "row")

logger = logging.getLogger("bentoml.prediction_log")


class RowMonitor(MonitorBase[Any]):
    """BentoML monitor that appends each record as a line of JSON to `<folder>/<case>/<worker>.jsonl`.

    It takes whole columns, where BentoML's own monitors take value by value. Lines that cannot be written, on a full
    disk say, are counted, and the request is answered all the same.
    """

    def __init__(self, name: str, folder: str, lost_rows: Counter, **options: Any) -> None:
        super().__init__(name, **options)
        self.path = Path(folder) / name / f"{bentoml.server_context.worker_index or 0}.jsonl"
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lost_rows = lost_rows
        self.is_described = False
        self.is_failing = False
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
                with private(self.path.with_name("schema.json"), os.O_TRUNC) as file:
                    file.write(msgspec.json.encode(self.schema))
                self.is_described = True
            size = append(self.path, b"\n".join(lines) + b"\n")
        except OSError as error:
            self.lost_rows.inc(len(lines))
            self._fail("rows of the prediction log are lost", error)
            return
        try:
            if size > MAX_FILE_BYTES:
                rotate(self.path)
            self.is_failing = False
        except OSError as error:  # the rows are written all the same
            self._fail("the prediction log grows beyond its limit", error)

    def _fail(self, what: str, error: OSError) -> None:
        """Say what goes wrong once, not with each request."""
        if not self.is_failing:
            logger.error("%s: %s: %s", what, self.path, error.strerror)
        self.is_failing = True


def private(path: Path, flags: int) -> FileIO:
    """A file that its owner alone may read, made if need be, open for writing: its lines may be about people."""
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600), "w")


def append(path: Path, data: bytes) -> int:
    """Write at the end of a file. Its size after that. Raises OSError, and leaves no half line then."""
    with private(path, os.O_APPEND) as file:
        size = os.fstat(file.fileno()).st_size
        if file.write(data) != len(data):
            file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return size + len(data)


def rotate(path: Path) -> None:
    """Begin a new file, keep the ones before it by their age, and delete the oldest. Raises OSError."""
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

    def __init__(self, case: str, version: str, card: Card, folder: Path, lost_rows: Counter) -> None:
        """folder: where it is written; lost_rows: counts the rows that could not be"""
        self.case = case
        self.version = version
        self._options = {"folder": str(folder), "lost_rows": lost_rows}
        (folder / case).mkdir(mode=0o700, exist_ok=True)  # now: what cannot be written later is counted, and no failure
        self._inputs = {tensor.name: kind(tensor.datatype) for tensor in card.inputs}
        self._outputs = {tensor.name: kind(tensor.datatype) for tensor in card.outputs}

    def write(self, tensors: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """Log n records: inputs and outputs, arrays of n rows; where a row has several values, they are a list."""
        rows = len(next(iter(tensors.values())))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        own = ([now] * rows, [log.request_id.get()] * rows, [self.version] * rows, range(rows))
        with bentoml.monitor(self.case, RowMonitor, self._options) as monitor:  # type: ignore[call-overload]
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
