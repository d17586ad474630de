"""Drift is measured against the reference: each value served is counted in a bin of its feature's histogram."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from slipway.core.card import Card, Histogram

MISSING = "missing"
OUT_OF_REFERENCE = "out of reference"


def names(histogram: Histogram) -> list[str]:
    """What the bins of a histogram are called: `below 900`, `900 to 1072`, `1072 and more`, or its words."""
    if histogram.edges is None:
        return list(histogram.categories or ())
    edges = [f"{edge:.6g}" for edge in histogram.edges]
    if not edges:
        return ["any"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *between, f"{edges[-1]} and more"]


class Bins:
    """The bins of one feature, and how many values fell into each since they were last taken.

    Beside the histogram's bins there are two: one for missing values, and one for what the training split did not
    have: a word of its own, a number beyond its range.
    """

    def __init__(self, histogram: Histogram) -> None:
        self.names = [*names(histogram), MISSING, OUT_OF_REFERENCE]
        self._counts = [0] * len(self.names)
        self._missing, self._out = len(self.names) - 2, len(self.names) - 1
        seen = [*histogram.counts, histogram.missing, 0]
        total = sum(seen) + 0.5 * len(seen)
        # with half an observation in each bin (Jeffreys' prior), no share is 0: PSI takes its logarithm
        self.shares = [(count + 0.5) / total for count in seen]
        self._words: dict[Any, int] | None = None
        if histogram.categories is not None:
            self._words = {word: i for i, word in enumerate(histogram.categories)} | dict.fromkeys(
                ("", None), self._missing
            )
        self._edges = histogram.edges or []
        self.is_padded = histogram.is_padded
        self._low = -np.inf if histogram.low is None else histogram.low
        self._high = np.inf if histogram.high is None else histogram.high
        above = np.nextafter(self._high, np.inf)  # the number from which on values are out of reference
        inner = np.clip(self._edges, self._low, above)
        # NaN comes last in the order of numbers that NumPy has, so that all but NaN is smaller
        self._bounds = np.array([self._low, *inner, np.nan if histogram.high is None else above, np.nan])
        self._smaller = np.zeros(len(self._bounds) + 1, np.int64)  # values smaller than each bound; at the end: of all

    def index(self, value: Any) -> int:
        """The bin of one value."""
        if self._words is not None:
            return self._words.get(value, self._out)
        if value is None or value != value:
            return self._missing
        return bisect_right(self._edges, value) if self._low <= value <= self._high else self._out

    def count_one(self, value: Any) -> None:
        """Count one value."""
        self._counts[self.index(value)] += 1

    def count(self, column: np.ndarray) -> None:
        """Count the values of an array, but not the zeros that fill up its lists.

        Of numbers, it is counted how many are smaller than each bound, which is quick once they are sorted; `take`
        makes bins of that, once for many requests.
        """
        if self.is_padded:
            column = column[column != 0]
        if self._words is not None or column.dtype == object:
            for value, times in Counter(column.ravel().tolist()).items():
                self._counts[self.index(value)] += times
            return
        values = np.sort(column, axis=None)
        self._smaller[:-1] += values.searchsorted(self._bounds)
        self._smaller[-1] += values.size

    def take(self) -> list[int]:
        """The counts since the last time."""
        taken, self._counts = self._counts, [0] * len(self._counts)
        if self._smaller[-1]:
            too_small, *within, too_large, missing = np.diff(self._smaller, prepend=0).tolist()
            for place, times in enumerate([*within, missing, too_small + too_large]):
                taken[place] += times
            self._smaller[:] = 0
        return taken


class Reference:
    """The bins of every feature of a model, and of its prediction."""

    def __init__(self, card: Card) -> None:
        self.bins = {name: Bins(histogram) for name, histogram in card.reference.items()}

    def count(self, *tensors: Mapping[str, np.ndarray]) -> None:
        """Count inputs and outputs; what has no histogram is left out."""
        for arrays in tensors:
            for name, array in arrays.items():
                bins = self.bins.get(name)
                if bins is None:
                    continue
                if array.size == 1 and not bins.is_padded:
                    bins.count_one(array.item())
                else:
                    bins.count(array)
