"""What editors, file managers and JupyterLab leave beside the files of the project is no case, and breaks nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import free_port, running

from slipway.cases import CASES

ROOT = Path(__file__).parents[2]
WARNINGS = {
    "fruit-Copy1": "its name is no module name",
    "fruit (1)": "its name is no module name",
    "fruit_copy": "its CASE is named 'fruit', and not as the file",
    "helpers": "it holds no CASE",
}


@pytest.fixture
def project(tmp_path):
    """A copy of what is served, with what others leave there."""
    copy = tmp_path / "project"
    for name in ("slipway", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("service.py", "bentofile.yaml", "README.md", ".bentoignore"):
        shutil.copy(ROOT / name, copy / name)
    cases = copy / "slipway" / "cases"
    fruit = (cases / "fruit.py").read_text()
    for name in ("fruit-Copy1", "fruit (1)", "fruit_copy"):
        (cases / f"{name}.py").write_text(fruit)
    (cases / "helpers.py").write_text("ANSWER = 42\n")
    (cases / "fruit.py~").write_text(fruit)  # of Emacs and of gedit
    (cases / "#fruit.py#").write_text("half a li")  # of Emacs, unsaved
    for folder in (cases, copy / "slipway" / "core", copy / "slipway" / "serving" / "http", copy):
        (folder / ".#file.py").symlink_to("somebody@example.org.4711:1700000000")  # Emacs' lock: a link to nothing
        (folder / ".file.py.swp").write_bytes(b"b0VIM 9.0\0\xff")
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints" / "fruit-checkpoint.py").write_text(fruit)
    return copy


def run(project, *arguments, **environment):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=os.environ | environment, capture_output=True, text=True)


def test_a_file_that_is_no_case_is_left_out_with_one_line(project):
    answer = run(project, "-c", "from slipway.cases import CASES; print(*CASES)")
    assert answer.stdout.split() == sorted(CASES)
    said = [f"slipway/cases/{name}.py is left out: {why}" for name, why in WARNINGS.items()]
    assert sorted(answer.stderr.splitlines()) == sorted(said)


def test_a_bento_is_built_without_hidden_files(project, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(Path(os.environ["BENTOML_HOME"]) / "models")
    answer = run(project, "-m", "bentoml", "build", "--output", "tag", BENTOML_HOME=str(home), FORCE_COLOR="")
    assert answer.returncode == 0, answer.stderr
    (built,) = (home / "bentos" / "slipway").glob("*/src")
    assert (built / "slipway" / "cases" / "fruit.py").is_file()
    assert [path for path in built.rglob("*") if path.name.startswith(".")] == []


def test_the_service_starts_beside_them(project, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(Path(os.environ["BENTOML_HOME"]) / "models")
    port = free_port()
    command = ["sh", "-c", f'cd "{project}" && exec "{sys.executable}" -m bentoml serve -p {port}']
    with running(command, port, tmp_path / "log", BENTOML_HOME=str(home), SLIPWAY_DRAIN_SECONDS="0") as server:
        apple = {"records": [{"weight": 152, "length": 71, "width": 73, "colour": "red"}]}
        assert server.client.post("/v1/fruit", json=apple).status_code == 200
    log = server.log.read_text()
    assert "Traceback" not in log
    assert all(f"slipway/cases/{name}.py is left out: {why}" in log for name, why in WARNINGS.items())
