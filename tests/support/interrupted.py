"""A process that is killed while it writes to the model store, at any moment: `python interrupted.py WRITER FOLDER`.

WRITER: `release` of a model, by us; `create` or `delete` of an entry, by BentoML
FOLDER: `FOLDER/start` is the BENTOML_HOME to begin with. A copy of it is made for each moment and numbered from 0.

Python tells its audit hooks of each call to the file system before it is made. The n-th process kills itself before the
n-th call that changes something in the store. Processes are forked, as importing all anew would take seconds for each.
The last line says, in JSON, what was found and done after each of them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore
from bentoml.exceptions import NotFound
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from slipway.cases import CASES
from slipway.core import store
from slipway.core.card import Metric
from slipway.core.model import Model, ModelFileError
from slipway.training.data import load
from slipway.training.release import release

FRUIT = CASES["fruit"]
GOOD = {"accuracy": Metric(value=0.95, low=0.9, high=0.98)}
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}  # and `open` to write

basket = load("fruit")
words = make_column_transformer((OneHotEncoder(sparse_output=False), ["colour"]), remainder="passthrough")
tree = make_pipeline(words, DecisionTreeClassifier(max_depth=2, random_state=0))
tree.fit(basket[FRUIT.features], basket["fruit"])


def our_release() -> None:
    release(FRUIT, tree, basket, train=basket, metrics=GOOD)


def bentoml_create() -> None:
    old = bentoml.models.get("fruit:latest")
    with bentoml.models.create("fruit") as entry:
        for name in ("model.onnx", "card.json"):
            shutil.copy(old.path_of(name), entry.path_of(name))


def bentoml_delete() -> None:
    bentoml.models.delete("fruit:latest")


WRITERS = {"release": our_release, "create": bentoml_create, "delete": bentoml_delete}


def in_child(home: Path, work) -> tuple[int, str]:
    """Do something in a process of its own, with a store of its own: its exit code, or signal, and what it answers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            BentoMLContainer.model_store.set(ModelStore(home / "models"))
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def killed_at(moment: int, home: Path, write) -> bool:
    """Whether a writer was killed at its moment: if not, it had ended before."""

    def work():
        seen = 0

        def hook(event, arguments):
            nonlocal seen
            is_change = event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
            # the last part of a path is all there is where a folder is removed
            if is_change and (str(home) in str(arguments) or event in ("os.remove", "os.rmdir")):
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        sys.addaudithook(hook)
        write()

    return in_child(home, work)[0] == -signal.SIGKILL


def look():
    """What is found in a store: our newest release and BentoML's, all entries, or the line that says why not."""
    try:
        store.repair("fruit")
        newest, got = Model.load(store.newest("fruit")).tag, str(bentoml.models.get("fruit:latest").tag)
        return {"newest": newest, "got": got, "listed": [str(entry.tag) for entry in bentoml.models.list()]}
    except (ModelFileError, NotFound) as error:
        return {"said": str(error)}


def release_again():
    """The tag of a release that is made now, and what is found then."""
    tag = str(release(FRUIT, tree, basket, train=basket, metrics=GOOD).tag)
    return {"tag": tag, **look()}


def main(writer: str, folder: Path) -> None:
    found = []
    while True:
        home = folder / str(len(found))
        shutil.copytree(folder / "start", home)
        if not killed_at(len(found), home, WRITERS[writer]):
            break
        steps = {"after": json.loads(in_child(home, look)[1])}
        if "`rm -r " in steps["after"].get("said", ""):
            subprocess.run(steps["after"]["said"].split("`")[1], shell=True, check=True)
            steps["mended"] = json.loads(in_child(home, look)[1])
        steps["again"] = json.loads(in_child(home, release_again)[1])
        found.append(steps)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
