"""Rebuild `diagnosis.csv`, the Wisconsin breast aspirates, from scikit-learn's copy: `python data/diagnosis.py`."""

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer

CSV = Path(__file__).with_suffix(".csv")

# What the service asks for comes first; the notebook says why these six.
ASKED = [
    "worst_radius",
    "worst_texture",
    "worst_smoothness",
    "worst_concave_points",
    "worst_symmetry",
    "radius_error",
]


def name(source: str) -> str:
    """`worst concave points` as `worst_concave_points`."""
    return source.replace(" ", "_")


def build() -> pd.DataFrame:
    """The women, in the order of the source, as the file holds them."""
    copy = load_breast_cancer(as_frame=True)
    measured = copy.data.rename(columns=name)
    rest = [column for column in measured if column not in ASKED]
    # there 0 is malignant and 1 benign: words cannot be read the wrong way round
    diagnosis = copy.target.map(dict(enumerate(copy.target_names)))
    return measured[[*ASKED, *rest]].assign(diagnosis=diagnosis)


if __name__ == "__main__":
    women = build()
    women.to_csv(CSV, index=False, lineterminator="\n")
    print(f"{CSV.name}: {len(women)} rows, {len(women.columns)} columns")
