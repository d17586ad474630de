"""Rebuild `driving.csv`, the log of a rule that drives in the simulator highway-env: `python data/driving.py`."""

from pathlib import Path
from typing import Any, get_args

import gymnasium
import highway_env  # noqa: F401  (registers the road with gymnasium)
import pandas as pd

from slipway.cases.driving import SIGHT, Action, Step, see

CSV = Path(__file__).with_suffix(".csv")
EPISODES = 60  # seeds 0 to 59; the notebook drives on others
ROAD = {
    "observation": {"type": "AttributesObservation", "attributes": ["time"]},  # `cars` is what we look at, and faster
    "action": {"type": "DiscreteMetaAction", "target_speeds": [0, 5, 10, 15, 20, 25, 30]},
    "vehicles_count": 10,
    "duration": 30,
}

Scene = dict[str, Any]


def acceleration(speed: float, gap: float, relative: float) -> float:
    """The Intelligent Driver Model (Treiber et al. 2000), in m/s²: how much a driver behind a car speeds up.

    It wants 30 m/s, and 5 m and 1.5 s of distance; 3 and 5 m/s² are comfortable to speed up and to brake with.
    """
    if gap >= SIGHT:
        return 3 * (1 - (speed / 30) ** 4)
    wanted = 5 + max(0, 1.5 * speed - speed * relative / (2 * (3 * 5) ** 0.5))
    return 3 * (1 - (speed / 30) ** 4 - (wanted / max(gap, 1)) ** 2)


def rule(scene: Scene) -> str:
    """What to do, from what a record says and nothing else.

    Change to the lane in which one can speed up most, if that gains half a metre per second squared and nobody has to
    brake by more than 2 m/s² for it (MOBIL, Kesting et al. 2007). Otherwise follow the car ahead.
    """
    here = acceleration(scene["speed"], scene["ahead_gap"], scene["ahead_speed"])
    best, action = here + 0.5, None
    for side in ("left", "right"):
        gap, relative = scene[f"{side}_behind_gap"], scene[f"{side}_behind_speed"]
        there = acceleration(scene["speed"], scene[f"{side}_ahead_gap"], scene[f"{side}_ahead_speed"])
        behind = acceleration(scene["speed"] + relative, gap, -relative)
        if scene[f"lanes_{side}"] and min(there, 0 if gap >= SIGHT else behind) > -2 and there > best:
            best, action = there, f"lane_{side}"
    if action is not None:
        return action
    return "slower" if here < -1.5 else "faster" if here > 1.5 else "keep"


def cars(road: Any) -> list[tuple[float, ...]]:
    """Where the cars of a simulated road are and how fast they go, our own first: what `see` reads."""
    return [(*car.position, car.velocity[0]) for car in road.unwrapped.road.vehicles]


def build() -> pd.DataFrame:
    """The decisions, in the order in which they were taken, as the file holds them."""
    road = gymnasium.make("highway-fast-v0", config=ROAD, disable_env_checker=True)
    rows = []
    for episode in range(EPISODES):
        road.reset(seed=episode)
        step, over = 0, False
        while not over:
            scene = see(cars(road))
            action = rule(scene)
            rows.append(scene | {"episode": episode, "step": step, "action": action})
            _, _, crashed, ended, _ = road.step(get_args(Action).index(action))
            step, over = step + 1, crashed or ended
    road.close()
    return pd.DataFrame(rows, columns=list(Step.model_fields))


if __name__ == "__main__":
    log = build()
    log.to_csv(CSV, index=False, lineterminator="\n")
    print(f"{CSV.name}: {len(log)} rows, {len(log.columns)} columns")
