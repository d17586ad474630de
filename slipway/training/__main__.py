"""Train and release every case that has no release of its present data: `make models`.

papermill runs the case's notebook, the same one that a reader reads. What it executed stays in `build/runs/`.
"""

import argparse
import os
import sys
from pathlib import Path

import bentoml
import papermill
from bentoml.exceptions import BentoMLException, NotFound
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from slipway.cases import CASES
from slipway.core.case import Case
from slipway.core.model import Model
from slipway.training.data import checksums

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "build" / "runs"


def is_released(case: Case) -> bool:
    """Whether the newest release in the store was made from the data set as it is now.

    Raises ModelFileError if that release was tampered with: it is for a person to decide what that means.
    """
    try:
        newest = Model.load(bentoml.models.get(f"{case.name}:latest"))
    except NotFound:
        return False
    return newest.card.data_sha256 == checksums()[f"{case.name}.csv"]


def notebook(case: Case) -> Path:
    """The notebook that trains and releases a case."""
    (path,) = (ROOT / "notebooks").glob(f"[0-9][0-9]_{case.name}.ipynb")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Train and release what has no release of its present data.")
    parser.add_argument("--again", action="store_true", help="train and release every case")
    again = parser.parse_args().again
    os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order: the same digits on every machine
    # Jupyter's `python3` is this interpreter, also where another one has registered itself under that name
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    try:
        waiting = [notebook(case) for case in CASES.values() if again or not is_released(case)]
    except BentoMLException as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1

    RUNS.mkdir(parents=True, exist_ok=True)
    bar = tqdm(sorted(waiting), unit="notebook", disable=not waiting)
    for path in bar:
        bar.set_description(f"training in {path.stem}")
        try:
            papermill.execute_notebook(
                path,
                RUNS / path.name,
                cwd=path.parent,
                progress_bar={"desc": path.stem, "leave": False},
                extra_arguments=["--log-level=CRITICAL"],  # of the kernel: it warns of its own transport otherwise
            )
        except PapermillExecutionError as error:
            print(f"slipway: {path.name}, cell {error.cell_index}: {error.ename}: {error.evalue}", file=sys.stderr)
            print(f"slipway: see {(RUNS / path.name).relative_to(ROOT)}", file=sys.stderr)
            return 1
    for name in CASES:
        print(f"released: {bentoml.models.get(f'{name}:latest').tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
