"""What will this house sell for? Ames, Iowa, 2006 to 2010: see `data/house_price.md`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

Dwelling = Literal["detached", "two_family", "duplex", "townhouse_end", "townhouse_inside"]
Condition = Literal[
    "very_poor", "poor", "fair", "below_average", "average", "above_average", "good", "very_good", "excellent"
]
Neighborhood = Literal[
    "bloomington_heights",
    "blueste",
    "briardale",
    "brookside",
    "clear_creek",
    "college_creek",
    "crawford",
    "edwards",
    "gilbert",
    "green_hills",
    "greens",
    "iowa_dot_and_rail_road",
    "landmark",
    "meadow_village",
    "mitchell",
    "north_ames",
    "northpark_villa",
    "northridge",
    "northridge_heights",
    "northwest_ames",
    "old_town",
    "sawyer",
    "sawyer_west",
    "somerset",
    "south_and_west_of_iowa_state_university",
    "stone_brook",
    "timberland",
    "veenker",
]
Year = Annotated[int, Field(ge=1870, le=2010)]


class House(Record):
    """A house in Ames, as its owner can describe it. The model knows houses as they stood between 2006 and 2010."""

    living_area: float = Field(ge=300, lt=4000, description="Living area above ground, in square feet", examples=[1656])
    lot_area: float = Field(ge=1000, le=220_000, description="Area of the lot, in square feet", examples=[9600])
    basement_area: float = Field(ge=0, le=4000, description="Area of the basement, in square feet", examples=[1080])
    bedrooms: int = Field(ge=0, le=8, description="Bedrooms above ground", examples=[3])
    full_baths: int = Field(ge=0, le=4, description="Bathrooms with a bath or shower, above ground", examples=[2])
    half_baths: int = Field(ge=0, le=3, description="Bathrooms without, above ground", examples=[1])
    fireplaces: int = Field(ge=0, le=5, description="Fireplaces", examples=[1])
    garage_cars: int = Field(ge=0, le=6, description="Cars that the garage holds", examples=[2])
    year_built: Year = Field(description="Year of construction", examples=[1976])
    year_remodelled: Year = Field(description="Year of the last remodelling; of construction if none", examples=[1995])
    dwelling: Dwelling = Field(description="Kind of dwelling", examples=["detached"])
    condition: Condition = Field(description="Overall condition", examples=["average"])
    neighborhood: Neighborhood = Field(description="Part of the town", examples=["north_ames"])


class Sale(House):
    """A house that sold: a line of the data set."""

    year_sold: Annotated[int, Field(ge=2006, le=2010, description="Year of the sale")]
    price: Annotated[float, Field(ge=10_000, le=1_000_000, description="Sale price, in US dollars")]


class Price(BaseModel):
    """What the house would sell for."""

    price: float = Field(description="Expected price, in US dollars", examples=[187000.0])
    low: float = Field(description="Lower end of the 90 % prediction interval, in US dollars", examples=[154000.0])
    high: float = Field(description="Upper end of the 90 % prediction interval, in US dollars", examples=[227000.0])


def results(outputs: Outputs, card: Card) -> Columns:
    """Prices rounded to dollars: the interval is thousands wide."""
    price, low, high = (outputs[name].ravel().round().tolist() for name in ("prediction", "low", "high"))
    return {"price": price, "low": low, "high": high}


CASE = Case(
    name="house_price",
    record=House,
    row=Sale,
    target="price",
    answer=Price,
    results=results,
    gate={
        "mae": Bound(at_most=20_000),  # dollars; the median of the training prices is off by about 45,000
        "r2": Bound(at_least=0.82),
        "coverage": Bound(at_least=0.83, at_most=0.97),  # of the 90 % interval; a few hundred rows scatter by 2 points
    },
)
