"""`make models` trains what is missing, once, and papermill can rerun it with other parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bentoml
import nbformat
import papermill
import pytest

from slipway.cases import CASES
from slipway.training.__main__ import notebook

ROOT = Path(__file__).parents[2]


def make_models(store, *arguments):
    command = [sys.executable, "-m", "slipway.training", *arguments]
    environment = os.environ | {"BENTOML_HOME": str(store)}
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
    store = Path(os.environ["BENTOML_HOME"])
    answer = make_models(store)
    assert answer.returncode == 0, answer.stderr
    assert "training in" not in answer.stderr
    assert all(f"released: {name}:" in answer.stdout for name in CASES)
    assert {str(stored.tag) for stored in bentoml.models.list()} >= before


def test_a_release_that_was_tampered_with_is_told_not_replaced(tmp_path):
    store = Path(os.environ["BENTOML_HOME"])
    shutil.copytree(store / "models", tmp_path / "models")
    latest = (tmp_path / "models" / "fruit" / "latest").read_text().strip()
    with (tmp_path / "models" / "fruit" / latest / "model.onnx").open("ab") as file:
        file.write(b"x")
    answer = make_models(tmp_path)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1
    assert f"fruit:{latest}: model.onnx is not the file that was released" in answer.stderr
