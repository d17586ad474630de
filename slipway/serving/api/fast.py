"""The fast way to read an inference request: names, types, ranges and words are checked while its JSON is decoded.

It can only say yes. What it does not take may be valid all the same, nested data for example; or it is an error, and
someone must be told in words what is wrong. The columns judge both. What it takes they would take, too, and make the
same tensors of it.
"""

import struct
from collections.abc import Mapping
from typing import Any, Literal, Union

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from slipway.core.card import Datatype
from slipway.core.feature import Feature
from slipway.core.model import DTYPES
from slipway.serving.api.columns import element
from slipway.serving.api.keys import may_repeat
from slipway.serving.api.messages import InferenceRequest
from slipway.serving.http.limits import MAX_RECORDS

CODES = {"FP64": "d", "INT64": "q", "BOOL": "?"}  # of the module struct
KEYS = 4  # of an input: name, shape, datatype and data. With parameters, it is not read here


class FastReader:
    """Reads requests for the features of one record, none of which is a list.

    For each feature there is a type of its own. The decoder knows by the `name` of an input which one that is.
    """

    def __init__(self, model: str, features: Mapping[str, Feature]) -> None:
        self._types: dict[Datatype, dict[str, type[Any]]] = {}
        for name, feature in features.items():
            fields = [
                ("shape", list[int]),
                ("datatype", Literal[feature.datatype]),
                ("data", list[element(feature)]),  # type: ignore[misc]
            ]
            given = msgspec.defstruct(name, fields, tag_field="name", tag=name, forbid_unknown_fields=True)
            self._types.setdefault(feature.datatype, {})[name] = given
        self._inputs = len(features)
        types = tuple(given for group in self._types.values() for given in group.values())
        request = msgspec.defstruct(
            "Request",
            [
                ("inputs", list[Union[types]]),  # type: ignore[valid-type]  # noqa: UP007
                ("model_name", Literal[model] | UnsetType, UNSET),
            ],
            bases=(InferenceRequest,),
            kw_only=True,
            forbid_unknown_fields=True,
        )
        self._decoder = msgspec.json.Decoder(request)

    def read(self, body: bytes) -> tuple[InferenceRequest, dict[str, np.ndarray]] | None:
        """The request and its tensors, of shape (rows, 1), by name; None if the columns must read it."""
        try:
            request: Any = self._decoder.decode(body)
        except (ValueError, RecursionError):
            return None
        inputs = {type(given): given for given in request.inputs}
        if not len(inputs) == len(request.inputs) == self._inputs:
            return None
        shape = request.inputs[0].shape
        rows = shape[0] if shape else 0
        if not 1 <= rows <= MAX_RECORDS or (shape != [rows, 1] and shape != [rows]):
            return None
        for given in request.inputs:
            if given.shape != shape or len(given.data) != rows:
                return None
        if may_repeat(body, request.count_keys(KEYS * self._inputs)):
            return None
        tensors: dict[str, np.ndarray] = {}
        try:
            for datatype, types in self._types.items():
                block = np.empty((len(types), rows, 1), DTYPES[datatype])
                for (name, of_feature), array in zip(types.items(), block, strict=True):
                    values = inputs[of_feature].data
                    if rows == 1:
                        array[0, 0] = values[0]
                    else:
                        fill(array, values, datatype)
                    tensors[name] = array
        except OverflowError:
            return None
        return request, tensors


def fill(array: np.ndarray, values: list[Any], datatype: Datatype) -> None:
    """Write values into an array of shape (rows, 1). None becomes NaN.

    Raises OverflowError if a number is too large for it.
    """
    if datatype in CODES:  # packed in half the time that NumPy takes to look at each value
        try:
            struct.pack_into(f"{len(values)}{CODES[datatype]}", array, 0, *values)  # type: ignore[arg-type]
            return
        except struct.error:  # there is a None, or a number too large
            pass
    array[:, 0] = values
