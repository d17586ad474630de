"""What the column of a feature may hold: the rules of the typed record, for all rows at once."""

from itertools import chain
from typing import Any

import msgspec
import numpy as np

from slipway.core.card import Datatype
from slipway.core.feature import Feature
from slipway.core.model import DTYPES

ELEMENTS: dict[Datatype, type] = {"FP32": float, "FP64": float, "INT64": int, "BOOL": bool, "BYTES": str}


class ColumnError(ValueError):
    """A tensor is not what the model takes for this feature."""


class Column:
    """A feature of all rows: its datatype, its range or the words that it may be, and how many values a row has."""

    def __init__(self, feature: Feature) -> None:
        rule = feature.rule
        self.feature = feature
        self.datatype = feature.datatype
        self._dtype = DTYPES[feature.datatype]
        element: Any = ELEMENTS[feature.datatype]
        if feature.is_nullable:
            element = element | None
        self._flat = msgspec.json.Decoder(list[element])
        self._nested = msgspec.json.Decoder(list[list[element]])
        self._is_number = feature.datatype not in ("BOOL", "BYTES")
        self._words = frozenset(rule["enum"]) if "enum" in rule else None
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
        if self.feature.is_padded:
            self._check_lists(array)
        elif self._is_number and count > 1:
            known = array[~np.isnan(array)] if self.feature.is_nullable else array
            if known.size:
                self._check_range(known.min(), known.max())
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

    def _check_lists(self, array: np.ndarray) -> None:
        """Lists of several lengths: each is as long as it may be, and what fills it up stands at its end."""
        is_value = array != 0
        if (~is_value[:, :-1] & is_value[:, 1:]).any():
            raise ColumnError("0 fills a list at its end, and stands before a value")
        if (is_value.sum(axis=1) < self.feature.least).any():
            raise ColumnError(f"a list has fewer than {self.feature.least} values")
        if is_value.any():
            self._check_range(array[is_value].min(), array[is_value].max())

    def _check_words(self, values: list[str]) -> None:
        unknown = set(values) - self._words  # type: ignore[operator]
        if unknown:
            raise ColumnError(f"{min(unknown)[:100]!r} is none of {', '.join(sorted(self._words))}")  # type: ignore[arg-type]

    def _check_range(self, low: Any, high: Any) -> None:
        if not (low >= self._least and low > self._above):
            raise ColumnError(f"{low} is too small")
        if not (high <= self._most and high < self._below):
            raise ColumnError(f"{high} is too large")
