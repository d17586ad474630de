"""What should this person watch tonight? The ratings of MovieLens, 1995 to 2016: see `data/recommendation.md`."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

MAX_FILMS = 300  # seven viewers in eight have rated fewer; of the others, send the latest
FilmId = Annotated[int, Field(ge=1, le=1_000_000)]
Stars = Annotated[float, Field(ge=0.5, le=5)]


class Viewer(Record):
    """A person, as the films that they have rated; of someone new, none. A film that stands twice has its higher stars.

    The model need not have met this person before, nor know all of the films: it leaves out those it does not know.
    """

    films: list[FilmId] = Field(
        min_length=0,
        max_length=MAX_FILMS,
        description="Films that they have rated, by their MovieLens ids, in any order; they are not recommended again",
        examples=[[2571, 4993, 1]],
    )
    stars: list[Stars] = Field(
        min_length=0,
        max_length=MAX_FILMS,
        description="The stars of each, in the same order, from 0.5 (worst) to 5; 2.5 counts as no opinion",
        examples=[[5.0, 4.5, 2.0]],
    )

    @model_validator(mode="after")
    def one_rating_to_a_film(self) -> Self:
        """Refuse lists of two lengths: nobody knows then which stars belong to which film."""
        if len(self.films) != len(self.stars):
            raise ValueError(f"{len(self.films)} films and {len(self.stars)} stars: there must be as many of each")
        return self


class Rating(Record):
    """One person's stars for one film: a line of the data set."""

    viewer: Annotated[int, Field(ge=1, description="Who: a number, the same in all of their ratings")]
    film: Annotated[FilmId, Field(description="Which film: its MovieLens id")]
    title: Annotated[str, Field(description="Its title")]
    year: Annotated[int, Field(ge=1900, le=2016, description="When it came out")]
    stars: Annotated[Stars, Field(description="How much they liked it")]
    rated_at: Annotated[int, Field(ge=0, description="When they said so, in seconds since the beginning of 1970 (UTC)")]


class Recommended(BaseModel):
    """A film, and how strongly it is recommended."""

    film: int = Field(description="Its MovieLens id", examples=[260])
    title: str = Field(description="Its title and year", examples=["Star Wars: Episode IV - A New Hope (1977)"])
    score: float = Field(
        description="The share of people who liked it of late, and what this person's stars add; no probability",
        examples=[0.453],
    )


class TopTen(BaseModel):
    """What to watch."""

    films: list[Recommended] = Field(
        description="Ten films that are not among those given, the best first",
        examples=[
            [{"film": 260, "title": "Star Wars: Episode IV - A New Hope (1977)", "score": 0.453}],
        ],
    )
    known: int = Field(description="How many of the films given the model knows, each counted once", examples=[3])
    is_cold_start: bool = Field(
        description="Whether it knows none of them: then the ten are those that most people liked of late",
        examples=[False],
    )


def results(outputs: Outputs, card: Card) -> Columns:
    """Ten films a person; scores rounded to three places, as a few hundred people allow no more."""
    known = outputs["known"].ravel()
    tens = (outputs["prediction"].tolist(), outputs["titles"].tolist(), outputs["scores"].round(3).tolist())
    return {
        "films": [
            [
                {"film": film, "title": title, "score": score}
                for film, title, score in zip(films, titles, scores, strict=True)
            ]
            for films, titles, scores in zip(*tens, strict=True)
        ],
        "known": known.tolist(),
        "is_cold_start": (known == 0).tolist(),
    }


CASE = Case(
    name="recommendation",
    record=Viewer,
    row=Rating,
    target="film",
    answer=TopTen,
    results=results,
    gate={
        # of people who came later: the films that most liked ever reach 0.064, those that most liked of late 0.085
        "recall_at_10": Bound(at_least=0.08),
        "gain": Bound(at_least=0.01),  # in recall over the latter, which needs no learning and has 0 by definition
    },
)
