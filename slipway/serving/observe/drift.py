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
        self.counts = [0] * len(self.names)
        self._missing, self._out = len(self.names) - 2, len(self.names) - 1
        seen = [*histogram.counts, histogram.missing, 0]
        total = sum(seen) + 0.5 * len(seen)
        # with half an observation in each bin (Jeffreys' prior), no share is 0: PSI takes its logarithm
        self.shares = [(count + 0.5) / total for count in seen]
        self._words = None if histogram.categories is None else {word: i for i, word in enumerate(histogram.categories)}
        self._edges = histogram.edges or []
        self.is_padded = histogram.is_padded
        self._low = -np.inf if histogram.low is None else histogram.low
        self._high = np.inf if histogram.high is None else histogram.high

    def index(self, value: Any) -> int:
        """The bin of one value."""
        if value is None or value != value or value == "":
            return self._missing
        if self._words is not None:
            return self._words.get(value, self._out)
        return bisect_right(self._edges, value) if self._low <= value <= self._high else self._out

    def count(self, column: np.ndarray) -> None:
        """Count the values of an array, but not the zeros that fill up its lists."""
        if self.is_padded:
            column = column[column != 0]
        if self._words is not None or column.dtype == object:
            for value, times in Counter(column.ravel().tolist()).items():
                self.counts[self.index(value)] += times
            return
        values = column.ravel()
        places = np.searchsorted(self._edges, values, side="right")
        places[(values < self._low) | (values > self._high)] = self._out
        places[np.isnan(values)] = self._missing
        for place, times in enumerate(np.bincount(places, minlength=len(self.counts)).tolist()):
            self.counts[place] += times

    def take(self) -> list[int]:
        """The counts since the last time."""
        taken, self.counts = self.counts, [0] * len(self.counts)
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
                    bins.counts[bins.index(array.item())] += 1
                else:
                    bins.count(array)
