"""Read the service's prediction log back, to be joined with what turned out to be true."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd


def lines(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """The rows of some files. Warns of lines that are no JSON, as a power cut may leave one, and leaves them out."""
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield json.loads(line)
                except ValueError:
                    warnings.warn(f"{path}, line {number} cannot be read and is left out", stacklevel=3)


def read(folder: str | Path, case: str) -> pd.DataFrame:
    """What the service answered for a case: a row for each record, the oldest first.

    Columns: `time` (UTC), `request_id`, `version` of the model, `row` (of the record in its request, from 0), the
    features, and the model's outputs. A row is found again by `request_id` and `row`.

    Raises FileNotFoundError if nothing was logged for the case.
    """
    paths = sorted(Path(folder, case).glob("*.jsonl"))
    if not paths:
        raise FileNotFoundError(f"no predictions of {case} in {folder}: is SLIPWAY_PREDICTION_LOG set for the service?")
    rows = pd.DataFrame(lines(paths))
    rows["time"] = pd.to_datetime(rows["time"], utc=True)
    return rows.sort_values(["time", "request_id", "row"], ignore_index=True)
