"""Rebuild `fruit.csv`, a simulation from published weights and dimensions: `python data/fruit.py`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

CSV = Path(__file__).with_suffix(".csv")
SEED = 2026


class Kind(NamedTuple):
    """A group of cultivars of one shape. Means and standard deviations; `fruit.md` gives the source of each.

    width: the largest diameter across, in mm
    ratio: the length along the stem axis, as a share of the width
    fill: the weight, in grams for each cubic centimetre of the ellipsoid with that length and width
    colours: how many in a hundred have each colour
    """

    fruit: str
    rows: int
    width: tuple[float, float]
    ratio: tuple[float, float]
    fill: tuple[float, float]
    colours: dict[str, int]


KINDS = [
    Kind("apple", 90, (76, 4.0), (0.90, 0.05), (0.78, 0.03), {"green": 95, "yellow": 5}),
    Kind("apple", 80, (75, 4.0), (0.98, 0.05), (0.78, 0.03), {"yellow": 60, "green": 40}),
    Kind("apple", 140, (73, 4.0), (1.00, 0.05), (0.78, 0.03), {"red": 94, "yellow": 4, "green": 2}),
    Kind("banana", 170, (38, 2.0), (4.50, 0.30), (1.10, 0.05), {"yellow": 80, "green": 17, "brown": 3}),
    Kind("orange", 240, (74, 5.0), (1.03, 0.05), (0.85, 0.06), {"orange": 92, "yellow": 3, "green": 5}),
    Kind("lemon", 160, (59, 4.0), (1.37, 0.07), (0.76, 0.04), {"yellow": 94, "green": 6}),
    Kind("pear", 110, (71, 4.0), (1.32, 0.06), (0.82, 0.04), {"green": 70, "yellow": 22, "red": 8}),
    Kind("pear", 80, (66, 4.0), (1.50, 0.10), (0.80, 0.04), {"green": 70, "brown": 25, "yellow": 5}),
    Kind("kiwi", 130, (47, 3.0), (1.28, 0.07), (1.08, 0.04), {"brown": 90, "green": 10}),
]


def build() -> pd.DataFrame:
    """The fruit, shuffled, as the file holds them."""
    rng = np.random.default_rng(SEED)
    parts = []
    for kind in KINDS:
        width = rng.normal(*kind.width, kind.rows).round()
        length = (width * rng.normal(*kind.ratio, kind.rows)).round()
        fill = rng.normal(*kind.fill, kind.rows)
        weight = (fill * np.pi / 6 * length * width**2 / 1000).round()
        share = np.array(list(kind.colours.values())) / 100
        colour = rng.choice(list(kind.colours), kind.rows, p=share)
        columns = {"weight": weight, "length": length, "width": width, "colour": colour, "fruit": kind.fruit}
        parts.append(pd.DataFrame(columns))
    basket = pd.concat(parts).iloc[rng.permutation(sum(kind.rows for kind in KINDS))]
    return basket.astype({"weight": int, "length": int, "width": int}).reset_index(drop=True)


if __name__ == "__main__":
    basket = build()
    basket.to_csv(CSV, index=False, lineterminator="\n")
    print(f"{CSV.name}: {len(basket)} rows, {len(basket.columns)} columns")
