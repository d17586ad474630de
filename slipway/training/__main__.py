"""Train and release every case that has no release of its present data: `make models`.

papermill runs the case's notebook, the same one that a reader reads. What it executed stays in `build/runs/`.
"""

import argparse
import os
import sys
from pathlib import Path

import papermill
from bentoml.exceptions import BentoMLException, NotFound
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from slipway.cases import CASES
from slipway.core import store
from slipway.core.case import Case
from slipway.core.feature import features
from slipway.core.model import Model
from slipway.training.data import DataError, listed

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "build" / "runs"


def say(line: str) -> None:
    print(f"slipway: {line}", file=sys.stderr)


def is_released(case: Case) -> bool:
    """Whether the store has a release of the data set as it is now, and the newest one answers the case as it is now.

    The newest one may be of other data: somebody who retrains a model on later ones does not want it trained back. One
    that was released for other features is of no use to the service, which is said.

    Raises ModelFileError if the newest release is damaged or was tampered with, or one is not whole: it is for a person
    to decide what that means. Raises DataError if the data set has no checksum.
    """
    present = listed(case.name)
    try:
        newest = Model.load(store.newest(case.name))
    except NotFound:
        return False
    released = {tensor.name: tensor.datatype for tensor in newest.card.inputs}
    wanted = {name: feature.datatype for name, feature in features(case.record).items()}
    if list(released.items()) != list(wanted.items()):
        changed = sorted(name for name in released | wanted if released.get(name) != wanted.get(name))
        say(f"{newest.tag} was released for other features ({', '.join(changed) or 'their order'}): it is trained anew")
        return False
    labels = [release.info.labels.get("data") for release in store.releases(case.name)]
    return newest.card.data_sha256 == present or present[:12] in labels


def notebook(case: Case) -> Path:
    """The notebook that trains and releases a case. Raises FileNotFoundError unless there is exactly one."""
    name = f"[0-9][0-9]_{case.name}.ipynb"
    found = list((ROOT / "notebooks").glob(name))
    if len(found) != 1:
        raise FileNotFoundError(f"{case.name} needs one notebook that trains it, notebooks/{name}; it has {len(found)}")
    return found[0]


def main() -> int:
    parser = argparse.ArgumentParser(description="Train and release what has no release of its present data.")
    parser.add_argument("--again", action="store_true", help="train and release every case")
    again = parser.parse_args().again
    # sums in one order, and the same steps on every x86 processor: the same digits on every machine
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    # Jupyter's `python3` is this interpreter, also where another one has registered itself under that name
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    try:
        for name in CASES:
            if store.repair(name):
                say(f"{name}:latest named no release, and names {store.newest(name).tag} again")
        waiting = [notebook(case) for case in CASES.values() if again or not is_released(case)]
    except (BentoMLException, DataError, FileNotFoundError) as error:
        say(str(error))
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
            say(f"{path.name}, cell {error.cell_index}: {error.ename}: {error.evalue}")
            say(f"see {(RUNS / path.name).relative_to(ROOT)}")
            return 1
    for name in CASES:
        print(f"released: {store.newest(name).tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
