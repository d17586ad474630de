"""What the column of a feature may hold: the rules of the typed record, for all rows at once."""

import math
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from slipway.core.card import Datatype
from slipway.core.feature import Feature
from slipway.core.model import DTYPES
from slipway.serving.api.binary import BinaryError, read_numbers, read_words, word_to_bytes

ELEMENTS: dict[Datatype, type] = {"FP32": float, "FP64": float, "INT64": int, "BOOL": bool, "BYTES": str}
BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}  # as msgspec has them


class ColumnError(ValueError):
    """A tensor is not what the model takes for this feature."""


def element(feature: Feature) -> Any:
    """The type of a value of a feature, with its range or its words, for a decoder of msgspec."""
    if "enum" in feature.rule:
        return Literal[tuple(feature.rule["enum"])]
    bounds = {BOUNDS[key]: bound for key, bound in feature.rule.items() if key in BOUNDS}
    of_type: Any = ELEMENTS[feature.datatype]
    value = Annotated[of_type, Meta(**bounds)] if bounds else of_type
    return value | None if feature.is_nullable else value


class Column:
    """A feature of all rows: its datatype, its range or the words that it may be, and how many values a row has."""

    def __init__(self, feature: Feature) -> None:
        rule = feature.rule
        self.feature = feature
        self.datatype = feature.datatype
        self._dtype = DTYPES[feature.datatype]
        of_type: Any = ELEMENTS[feature.datatype]
        if feature.is_nullable:
            of_type = of_type | None
        self._flat = msgspec.json.Decoder(list[of_type])
        self._nested = msgspec.json.Decoder(list[list[of_type]])
        self._is_number = feature.datatype not in ("BOOL", "BYTES")
        self._words = frozenset(rule["enum"]) if "enum" in rule else None
        self._known = {word_to_bytes(word): word for word in self._words or () if isinstance(word, str)}
        self._commas = max((word.count(",") for word in self._words or ()), default=0)  # in a value
        self._least, self._most = rule.get("minimum", -np.inf), rule.get("maximum", np.inf)
        self._above, self._below = rule.get("exclusiveMinimum", -np.inf), rule.get("exclusiveMaximum", np.inf)

    def width(self, shape: list[int], rows: int) -> int:
        """How many values each of some rows has in a tensor of this shape. Raises ColumnError if it does not fit."""
        if not self.feature.is_list:
            if shape != [rows, 1] and shape != [rows]:
                raise ColumnError(f"its shape must be [{rows}, 1], as of all inputs")
            return 1
        least, most = self.feature.least, self.feature.most
        if len(shape) != 2 or shape[0] != rows or not least <= shape[1] <= most:
            raise ColumnError(f"its shape must be [{rows}, {most if least == most else f'{least} to {most}'}]")
        return shape[1]

    def read(self, data: msgspec.Raw, rows: int, width: int = 1) -> np.ndarray:
        """The array, of shape (rows, width), of a JSON array of values, or of one list for each row.

        Lists that are all empty become a column of zeros: there is no model of nothing.

        Raises ColumnError if it holds something else than the feature may be.
        """
        count = rows * width
        commas = bytes(data).count(b",")
        if commas >= max(count, rows) * (1 + self._commas) and (self._is_number or self._words is not None):
            # known before half a million lists are made of them
            raise ColumnError(f"{commas + 1:,} values, but its shape says {count:,}")
        values = self._values(data, width)
        if len(values) != count:
            raise ColumnError(f"{len(values):,} values, but its shape says {count:,}")
        if not count:
            return np.zeros((rows, 1), self._dtype)
        if self._words is not None:
            self._check_words(values)
        elif count == 1 and self._is_number and values[0] is not None and not self.feature.is_padded:
            self._check_range(values[0], values[0])
        try:
            array = np.array(values, self._dtype).reshape(rows, width)  # null becomes NaN
        except OverflowError:
            raise ColumnError(f"a value does not fit into {self.datatype}") from None
        if self._is_number and (count > 1 or self.feature.is_padded):
            self._check_numbers(array)
        return array

    def read_binary(self, blob: bytes, rows: int, width: int = 1) -> np.ndarray:
        """The same of the bytes of a tensor. A NaN is a value that is not known, as null is in JSON."""
        count = rows * width
        try:
            if self.datatype == "BYTES":
                words = read_words(blob, count, self._known)
                if self._words is not None:
                    self._check_words(words)
                return np.array(words, self._dtype).reshape(rows, width)
            array = read_numbers(blob, self.datatype, count).reshape(rows, width)
        except BinaryError as error:
            raise ColumnError(str(error)) from None
        if not count:
            return np.zeros((rows, 1), self._dtype)
        if self._words is not None:
            self._check_words(array.ravel().tolist())
        elif self._is_number:
            self._check_numbers(array)
        return array

    def _values(self, data: msgspec.Raw, width: int) -> list[Any]:
        try:
            return self._flat.decode(data)
        except ValueError as error:  # of msgspec, or of a word that is no UTF-8: it was skipped until now
            try:
                rows = self._nested.decode(data)
            except ValueError:
                raise ColumnError(str(error)) from None
        if any(len(row) != width for row in rows):
            raise ColumnError(f"a row has not {'one value' if width == 1 else f'{width} values'}")
        return list(chain.from_iterable(rows))

    def _check_numbers(self, array: np.ndarray) -> None:
        if self.feature.is_padded:
            self._check_lists(array)
        elif array.size == 1:
            value = array.item()
            if not (self.feature.is_nullable and math.isnan(value)):
                self._check_range(value, value)
        else:
            known = array[~np.isnan(array)] if self.feature.is_nullable else array
            if known.size:
                self._check_range(known.min(), known.max())

    def _check_lists(self, array: np.ndarray) -> None:
        """Lists of several lengths: each is as long as it may be, and what fills it up stands at its end."""
        is_value = array != 0
        if (~is_value[:, :-1] & is_value[:, 1:]).any():
            raise ColumnError("0 fills a list at its end, and stands before a value")
        if (is_value.sum(axis=1) < self.feature.least).any():
            raise ColumnError(f"a list has fewer than {self.feature.least} values")
        if is_value.any():
            self._check_range(array[is_value].min(), array[is_value].max())

    def _check_words(self, values: list[Any]) -> None:
        unknown = set(values) - self._words  # type: ignore[operator]
        if unknown:
            known = ", ".join(map(str, sorted(self._words)))  # type: ignore[arg-type]
            raise ColumnError(f"{str(min(unknown))[:100]!r} is none of {known}")

    def _check_range(self, low: Any, high: Any) -> None:
        """Also what is infinite is refused, whatever the range is."""
        if low != low:
            raise ColumnError("NaN is no value: each one must be known")
        if not (low >= self._least and low > self._above):
            raise ColumnError(f"{low} is too small")
        if not (high <= self._most and high < self._below):
            raise ColumnError(f"{high} is too large")
