"""Which fruit is this, by its weight, size and colour? A simulation: see `data/fruit.md`."""

from typing import Literal

from pydantic import BaseModel, Field

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

Colour = Literal["brown", "green", "orange", "red", "yellow"]
Name = Literal["apple", "banana", "kiwi", "lemon", "orange", "pear"]


class Fruit(Record):
    """One piece of fruit, whole, with its peel, as it lies on the scale. The model knows six kinds and no other."""

    weight: float = Field(ge=20, le=500, description="Weight, in grams", examples=[152])
    length: float = Field(ge=30, le=300, description="Length along the stem axis, in millimetres", examples=[71])
    width: float = Field(ge=20, le=120, description="Largest diameter across that axis, in millimetres", examples=[73])
    colour: Colour = Field(description="Colour of most of the skin", examples=["red"])


class Named(Fruit):
    """A fruit whose kind is known: a line of the data set."""

    fruit: Name = Field(description="What it is")


class Kind(BaseModel):
    """What the fruit most likely is."""

    fruit: str = Field(description="The most probable kind", examples=["apple"])
    probabilities: dict[str, float] = Field(
        description="The probability of each kind; they add up to 1",
        examples=[{"apple": 0.95, "banana": 0.0, "kiwi": 0.0, "lemon": 0.0, "orange": 0.03, "pear": 0.02}],
    )


def results(outputs: Outputs, card: Card) -> Columns:
    """Kinds with their probabilities, rounded to four places: the training rows in a leaf allow no more."""
    rows = outputs["probabilities"].astype(float).round(4).tolist()
    return {
        "fruit": outputs["prediction"].tolist(),
        "probabilities": [dict(zip(card.classes, row, strict=True)) for row in rows],
    }


CASE = Case(
    name="fruit",
    record=Fruit,
    row=Named,
    target="fruit",
    answer=Kind,
    results=results,
    gate={"accuracy": Bound(at_least=0.88)},  # the commonest kind alone is right for about one in four
)
