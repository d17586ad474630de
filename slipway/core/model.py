"""A released model, checked against its card and run by ONNX Runtime."""

import hashlib
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import bentoml
import numpy as np
from bentoml.exceptions import BentoMLException
from pydantic import ValidationError

from slipway.core.card import Card, Datatype
from slipway.core.case import Outputs
from slipway.core.record import Record
from slipway.core.rows import Rows

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
DTYPES: dict[Datatype, type[np.generic]] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "BYTES": np.object_,
}


FORMATS: dict[Datatype, str] = {"FP64": "d", "INT64": "q"}  # those of `struct`


class ModelFileError(BentoMLException):
    """The files of a release are missing, unreadable, or not the ones that were released."""


def as_array(values: Sequence[Any], datatype: Datatype) -> np.ndarray:
    """The values of n records for a feature as an array of shape (n, 1); for lists (n, k), filled with zeros."""
    if values and isinstance(values[0], list):
        width = max(1, max(map(len, values)))
        values = [value + [0] * (width - len(value)) for value in values]
        return np.array(values, DTYPES[datatype])
    if len(values) == 1 and values[0] is not None:  # most requests: half the time of the general way below
        array = np.empty((1, 1), DTYPES[datatype])
        array[0, 0] = values[0]
        return array
    if len(values) > 1 and datatype in FORMATS:
        with suppress(struct.error):  # unless there is a None, this takes half as long
            packed = struct.pack(f"{len(values)}{FORMATS[datatype]}", *values)
            return np.frombuffer(packed, DTYPES[datatype])[:, np.newaxis]
    return np.array(values, DTYPES[datatype])[:, np.newaxis]  # None becomes NaN


def check_content(tag: str, card: Card, content: bytes) -> None:
    """Raises ModelFileError unless the SHA-256 of a model file's bytes is the one on its card.

    Loading anything else is not safe, and a file with one flipped bit may load and predict wrongly.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != card.model_sha256:
        raise ModelFileError(
            f"{tag}: {MODEL_FILE} is not the file that was released (SHA-256 {found[:12]}…, its card says "
            f"{card.model_sha256[:12]}…). Delete it with `bentoml models delete {tag}` and release it again."
        )


def read_release(stored: bentoml.Model) -> tuple[Card, bytes]:
    """The card and the checked model file of an entry of the store.

    Raises ModelFileError if they cannot be read, or are not the ones that were released.
    """
    try:
        card = Card.model_validate_json(Path(stored.path_of(CARD_FILE)).read_bytes())
        content = Path(stored.path_of(MODEL_FILE)).read_bytes()
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{stored.tag}: {CARD_FILE} or {MODEL_FILE} cannot be read: {reason}") from error
    check_content(str(stored.tag), card, content)
    return card, content


class Model:
    """A model that answers: its card, its tag in the store and an ONNX Runtime session."""

    def __init__(self, tag: str, card: Card, content: bytes) -> None:
        """Open a session on the bytes of a model. Raises ModelFileError if they are not the ones that were released."""
        # before the import, or else it tells its maker that it is used
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # here: a process that opens no session, the supervisor, saves the time and the memory

        check_content(tag, card, content)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a request is small; workers, not threads, use the other cores
        options.inter_op_num_threads = 1
        self.tag = tag
        self.card = card
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in card.outputs]

    @classmethod
    def load(cls, stored: bentoml.Model) -> Self:
        """The model of an entry of the store. Raises ModelFileError if its files are not fit to serve."""
        return cls(str(stored.tag), *read_release(stored))

    @property
    def output_shapes(self) -> dict[str, list[int]]:
        """The shape of each output, with -1 for the number of rows."""
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        return {name: [size if isinstance(size, int) else -1 for size in shapes[name]] for name in self._outputs}

    def run(self, tensors: dict[str, np.ndarray]) -> Outputs:
        """The outputs, arrays of n rows by name, for input arrays of shape (n, 1), (n, k) for lists, by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, tensors), strict=True))

    def tensors(self, records: Sequence[Record]) -> dict[str, np.ndarray]:
        """The input arrays of validated records."""
        if isinstance(records, Rows):
            columns = records.columns
        else:
            columns = {tensor.name: [getattr(record, tensor.name) for record in records] for tensor in self.card.inputs}
        return {tensor.name: as_array(columns[tensor.name], tensor.datatype) for tensor in self.card.inputs}

    def predict(self, records: Sequence[Record]) -> Outputs:
        """The outputs for validated records."""
        return self.run(self.tensors(records))
