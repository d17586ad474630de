"""`make models` trains what is missing, once, and papermill can rerun it with other parameters."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import bentoml
import nbformat
import papermill
import pytest

from slipway.cases import CASES
from slipway.core import store
from slipway.core.record import Record
from slipway.training.__main__ import is_released, notebook
from slipway.training.data import DataError

ROOT = Path(__file__).parents[2]


def make_models(home, *arguments):
    command = [sys.executable, "-m", "slipway.training", *arguments]
    environment = os.environ | {"BENTOML_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_papermill_reruns_a_notebook_with_other_parameters(case, tmp_path, monkeypatch):
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "store"))
    path = notebook(case)
    output = tmp_path / path.name
    papermill.execute_notebook(path, output, {"seed": 7, "fast": True}, cwd=path.parent, progress_bar=False)
    tags = [cell.metadata.get("tags", []) for cell in nbformat.read(output, as_version=4).cells]
    assert ["injected-parameters"] in tags
    assert list((tmp_path / "store" / "models" / case.name).glob("*/model.onnx"))


def test_what_is_released_is_not_trained_again():
    before = {str(stored.tag) for stored in bentoml.models.list()}
    home = Path(os.environ["BENTOML_HOME"])
    answer = make_models(home)
    assert answer.returncode == 0, answer.stderr
    assert "training in" not in answer.stderr
    assert all(f"released: {name}:" in answer.stdout for name in CASES)
    assert {str(stored.tag) for stored in bentoml.models.list()} >= before


@pytest.fixture
def home(tmp_path):
    """A copy of the tests' store that a test may spoil."""
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", tmp_path / "home" / "models")
    return tmp_path / "home"


def test_half_an_entry_is_named_in_one_line_and_its_command_mends_it(home):
    """What a killed `bentoml.models.create` leaves: an entry without its files, and an empty `latest`."""
    fruit = home / "models" / "fruit"
    before = (fruit / "latest").read_text()
    (fruit / "half").mkdir()
    (fruit / "latest").write_text("")
    answer = make_models(home)
    assert answer.returncode == 1
    (line,) = answer.stderr.strip().splitlines()
    assert "fruit:half (it has no model.yaml and no card.json and no model.onnx)" in line
    subprocess.run(line.split("`")[1], shell=True, check=True)
    answer = make_models(home)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.strip() == f"slipway: fruit:latest named no release, and names fruit:{before} again"
    listed = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list", "-o", "json"],
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert f'"fruit:{before}"' in listed.stdout
    assert make_models(home).stderr == ""


def test_a_release_for_other_features_is_said_in_one_line_and_trained_anew(capsys):
    fruit = CASES["fruit"]
    tag = store.newest("fruit").tag

    class Lighter(fruit.record):
        weight: int

    class Spotted(fruit.record):
        spots: int

    class Turned(Record):
        __annotations__ = dict(reversed(fruit.record.__annotations__.items()))
        colour, width, length, weight = (fruit.record.model_fields[name] for name in reversed(fruit.features))

    for record, changed in ((Lighter, "weight"), (Spotted, "spots"), (Turned, "their order")):
        assert not is_released(replace(fruit, record=record))
        said = f"slipway: {tag} was released for other features ({changed}): it is trained anew\n"
        assert capsys.readouterr().err == said
    assert is_released(fruit)


def test_a_case_without_a_notebook_or_a_checksum_is_told():
    plum = replace(CASES["fruit"], name="plum")
    with pytest.raises(FileNotFoundError, match=r"plum needs one notebook.*_plum\.ipynb; it has 0"):
        notebook(plum)
    with pytest.raises(DataError, match=r"SHA256SUMS has no line for plum\.csv: add it.*sha256sum plum\.csv"):
        is_released(plum)


def test_a_release_that_was_tampered_with_is_told_not_replaced(home):
    latest = (home / "models" / "fruit" / "latest").read_text().strip()
    with (home / "models" / "fruit" / latest / "model.onnx").open("ab") as file:
        file.write(b"x")
    answer = make_models(home)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1
    assert f"fruit:{latest}: model.onnx is not the file that was released" in answer.stderr
