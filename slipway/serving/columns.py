"""What the column of a feature may hold: the rules of the typed record, for all rows at once."""

from itertools import chain
from typing import Any

import msgspec
import numpy as np

from slipway.serving.card import Datatype, Tensor
from slipway.serving.case import Case
from slipway.serving.model import DTYPES

ELEMENTS: dict[Datatype, type] = {"FP32": float, "FP64": float, "INT64": int, "BOOL": bool, "BYTES": str}
# what the JSON schema of a feature may say: what is checked here, and what says nothing about its values
RULES = {"type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
WORDS = {"title", "description", "examples"}


class ColumnError(ValueError):
    """A tensor is not what the model takes for this feature."""


class Column:
    """A feature: its datatype, and its range or the words that it may be."""

    def __init__(self, tensor: Tensor, rule: dict[str, Any]) -> None:
        """rule: the feature's part of the JSON schema of the case's record

        Raises ValueError if that has a rule which is not checked here: the typed door would refuse what this one takes.
        """
        unknown = rule.keys() - RULES - WORDS
        if unknown:
            raise ValueError(f"the field {tensor.name}: columns are not checked for {', '.join(sorted(unknown))}")
        self.name = tensor.name
        self.datatype = tensor.datatype
        self._dtype = DTYPES[tensor.datatype]
        element: Any = ELEMENTS[tensor.datatype]
        self._flat = msgspec.json.Decoder(list[element])
        self._nested = msgspec.json.Decoder(list[list[element]])
        self._is_number = tensor.datatype not in ("BOOL", "BYTES")
        self._words = frozenset(rule["enum"]) if "enum" in rule else None
        self._commas = max((word.count(",") for word in self._words or ()), default=0)  # in a value
        self._least, self._most = rule.get("minimum", -np.inf), rule.get("maximum", np.inf)
        self._above, self._below = rule.get("exclusiveMinimum", -np.inf), rule.get("exclusiveMaximum", np.inf)

    def read(self, data: msgspec.Raw, rows: int) -> np.ndarray:
        """The array, of shape (rows, 1), of a JSON array of values, or of one list for each.

        Raises ColumnError if it holds something else than the feature may be.
        """
        commas = bytes(data).count(b",")
        if commas >= rows * (1 + self._commas) and (self._is_number or self._words is not None):
            # known before half a million lists are made of them
            raise ColumnError(f"{commas + 1:,} values, but its shape says {rows:,}")
        values = self._values(data)
        if len(values) != rows:
            raise ColumnError(f"{len(values):,} values, but its shape says {rows:,}")
        if self._words is not None:
            self._check_words(values)
        elif self._is_number and rows == 1:
            self._check_range(values[0], values[0])
        try:
            array = np.array(values, self._dtype)
        except OverflowError:
            raise ColumnError(f"a value does not fit into {self.datatype}") from None
        if self._is_number and rows > 1:
            self._check_range(array.min(), array.max())
        return array.reshape(rows, 1)

    def _values(self, data: msgspec.Raw) -> list[Any]:
        try:
            return self._flat.decode(data)
        except ValueError as error:  # of msgspec, or of a word that is no UTF-8: it was skipped until now
            try:
                rows = self._nested.decode(data)
            except ValueError:
                raise ColumnError(str(error)) from None
        if any(len(row) != 1 for row in rows):
            raise ColumnError("a row has not one value")
        return list(chain.from_iterable(rows))

    def _check_words(self, values: list[str]) -> None:
        unknown = set(values) - self._words  # type: ignore[operator]
        if unknown:
            raise ColumnError(f"{min(unknown)[:100]!r} is none of {', '.join(sorted(self._words))}")  # type: ignore[arg-type]

    def _check_range(self, low: Any, high: Any) -> None:
        if not (low >= self._least and low > self._above):
            raise ColumnError(f"{low} is too small")
        if not (high <= self._most and high < self._below):
            raise ColumnError(f"{high} is too large")


def columns(case: Case, inputs: list[Tensor]) -> dict[str, Column]:
    """The columns that a model takes, by name."""
    rules = case.record.model_json_schema()["properties"]
    return {tensor.name: Column(tensor, rules[tensor.name]) for tensor in inputs}
