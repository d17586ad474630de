"""A case: one question that the service answers, from its schema to what a model must reach to be released."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from slipway.core.card import Card
from slipway.core.record import Record
from slipway.core.rows import Columns, Rows

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Bound:
    """What a metric must reach on the test split. Bounds are inclusive."""

    at_least: float = -np.inf
    at_most: float = np.inf

    def admits(self, value: float) -> bool:
        """Whether a value lies within; NaN never does."""
        return self.at_least <= value <= self.at_most

    def __str__(self) -> str:
        sides = []
        if self.at_least != -np.inf:
            sides.append(f"at least {self.at_least:g}")
        if self.at_most != np.inf:
            sides.append(f"at most {self.at_most:g}")
        return " and ".join(sides)


@dataclass(frozen=True)
class Case:
    """One question the service answers.

    name: of the model in the store, the data set and the notebook: `house_price` for `data/house_price.csv`
    record: the features, with units and ranges
    row: a line of the data set: the target and what else the set holds
    target: the column to predict
    answer: what is said about one record
    results: the answers, a column of n values for each field of `answer`, from the model's outputs (arrays of n rows,
        by name) and its card
    gate: for each metric that decides on a release, what it must reach on the test split
    path: under which the service answers it, if not under its name
    reads: what makes a record of a file that is uploaded, if records do not come as JSON; raises ValueError, which says
        what is wrong with the file and which ones are taken
    """

    name: str
    record: type[Record]
    row: type[Record]
    target: str
    answer: type[BaseModel]
    results: Callable[[Outputs, Card], Columns]
    gate: Mapping[str, Bound]
    path: str = ""
    reads: Callable[[bytes], Record] | None = None

    @property
    def route(self) -> str:
        """Where the service answers it: `/v1/house-price`."""
        return f"/v1/{self.path or self.name.replace('_', '-')}"

    @property
    def features(self) -> list[str]:
        """The columns the model reads, in the order of its inputs."""
        return list(self.record.model_fields)

    def answers(self, outputs: Outputs, card: Card) -> Rows[Any]:
        """The results as objects, one a record. Raises ValueError if `results` has not a column for each field."""
        return Rows(self.answer, self.results(outputs, card))
