"""What should this car do next? A simulated motorway of three lanes, no car's driver: see `data/driving.md`."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

LANES = 3
LANE_WIDTH = 4.0  # metres
CAR_LENGTH = 5.0  # metres
SIGHT = 100.0  # metres of free road; a car farther away is not seen
MAX_SPEED = 40.0  # metres a second
ACROSS = 3.0  # metres from a lane's centre: a car that close is in it, so one that changes lanes is in two

Action = Literal["lane_left", "keep", "lane_right", "faster", "slower"]
Gap = Annotated[float, Field(ge=0, le=SIGHT)]
Faster = Annotated[float, Field(ge=-MAX_SPEED, le=MAX_SPEED)]


class Scene(Record):
    """What the car sees at one moment, on a motorway of three lanes.

    A gap runs from bumper to bumper, in metres. It is 100 if no car is seen within that, and 0 beside a car, or where
    there is no lane. A relative speed is that of the other car minus the own, in metres a second: below 0 the other one
    is slower. It is 0 if there is no car.
    """

    speed: float = Field(
        ge=0, le=MAX_SPEED, title="own speed", description="Own speed, in metres a second", examples=[25]
    )
    lanes_left: int = Field(
        ge=0, le=LANES - 1, title="lanes on the left", description="Lanes to the left of the own one", examples=[1]
    )
    lanes_right: int = Field(
        ge=0, le=LANES - 1, title="lanes on the right", description="Lanes to the right of the own one", examples=[1]
    )
    ahead_gap: Gap = Field(
        title="gap ahead", description="Gap to the car ahead in the own lane, in metres", examples=[24]
    )
    ahead_speed: Faster = Field(
        title="relative speed ahead", description="Relative speed of that car, in metres a second", examples=[-4]
    )
    behind_gap: Gap = Field(
        title="gap behind", description="Gap to the car behind in the own lane, in metres", examples=[100]
    )
    behind_speed: Faster = Field(
        title="relative speed behind", description="Relative speed of that car, in metres a second", examples=[0]
    )
    left_ahead_gap: Gap = Field(
        title="gap ahead on the left", description="Gap to the car ahead in the left lane, in metres", examples=[90]
    )
    left_ahead_speed: Faster = Field(
        title="relative speed ahead on the left",
        description="Relative speed of that car, in metres a second",
        examples=[-2],
    )
    left_behind_gap: Gap = Field(
        title="gap behind on the left", description="Gap to the car behind in the left lane, in metres", examples=[60]
    )
    left_behind_speed: Faster = Field(
        title="relative speed behind on the left",
        description="Relative speed of that car, in metres a second",
        examples=[-3],
    )
    right_ahead_gap: Gap = Field(
        title="gap ahead on the right", description="Gap to the car ahead in the right lane, in metres", examples=[8]
    )
    right_ahead_speed: Faster = Field(
        title="relative speed ahead on the right",
        description="Relative speed of that car, in metres a second",
        examples=[-5],
    )
    right_behind_gap: Gap = Field(
        title="gap behind on the right",
        description="Gap to the car behind in the right lane, in metres",
        examples=[12],
    )
    right_behind_speed: Faster = Field(
        title="relative speed behind on the right",
        description="Relative speed of that car, in metres a second",
        examples=[-6],
    )


class Step(Scene):
    """One decision of the driver whose log was kept: a line of the data set."""

    episode: int = Field(ge=0, description="The drive, which is also its seed")
    step: int = Field(ge=0, description="The decision within the drive, one a second")
    action: Action = Field(description="What the driver did")


def see(cars: ArrayLike) -> dict[str, float]:
    """What a record says of a road.

    cars: one row a car, its own first: metres along the road, metres across it from the centre of the leftmost lane,
        and metres a second along it; shape (n, 3). As much as that any simulator knows, and the sensors of a real car.
    """
    x, y, speed = np.asarray(cars, dtype=float).T
    lane = int(np.clip(round(y[0] / LANE_WIDTH), 0, LANES - 1))
    scene = {"speed": float(np.clip(speed[0], 0, MAX_SPEED)), "lanes_left": lane, "lanes_right": LANES - 1 - lane}
    for place, number in (("", lane), ("left_", lane - 1), ("right_", lane + 1)):
        in_lane = np.abs(y[1:] - number * LANE_WIDTH) < ACROSS
        along, relative = x[1:][in_lane] - x[0], speed[1:][in_lane] - speed[0]
        for side, there in (("ahead", along >= 0), ("behind", along < 0)):
            gap, faster = (SIGHT if 0 <= number < LANES else 0.0), 0.0
            if there.any():
                nearest = int(np.where(there, np.abs(along), np.inf).argmin())
                distance = max(float(abs(along[nearest])) - CAR_LENGTH, 0.0)
                if distance < gap:
                    gap, faster = distance, float(np.clip(relative[nearest], -MAX_SPEED, MAX_SPEED))
            scene |= {f"{place}{side}_gap": gap, f"{place}{side}_speed": faster}
    return {name: round(value, 3) for name, value in scene.items()}


class Decision(BaseModel):
    """What the car should do until the next second, and why."""

    action: str = Field(
        description="lane_left, lane_right, faster or slower (by 5 m/s), or keep lane and speed", examples=["lane_left"]
    )
    probabilities: dict[str, float] = Field(
        description="The share of each action where the tree decided so, as if all five were equally common in the log",
        examples=[{"faster": 0.0, "keep": 0.12, "lane_left": 0.88, "lane_right": 0.0, "slower": 0.0}],
    )
    path: list[str] = Field(
        description="The conditions that led there, all of which hold for this record",
        examples=[["gap ahead at most 31.2 m", "lanes on the left at least 1"]],
    )


def results(outputs: Outputs, card: Card) -> Columns:
    """Actions with the conditions that led to them; shares of a leaf allow no more than three places."""
    rows = outputs["probabilities"].astype(float).round(3).tolist()
    return {
        "action": outputs["prediction"].ravel().tolist(),
        "probabilities": [dict(zip(card.classes, shares, strict=True)) for shares in rows],
        "path": [path.split("; ") for path in outputs["path"].ravel().tolist()],
    }


CASE = Case(
    name="driving",
    record=Scene,
    row=Step,
    target="action",
    answer=Decision,
    results=results,
    # the share of drives that end in a crash: a driver that does nothing, or anything, crashes on nearly every road
    gate={"crashes": Bound(at_most=0.2), "balanced_accuracy": Bound(at_least=0.6)},
)
