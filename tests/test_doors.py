"""Rooms and doors: what each part of the package may import, checked where nothing else is installed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import free_port, running

ROOT = Path(__file__).parents[1]
TRAINING_STACK = ["jupyterlab", "matplotlib", "onnx", "pandas", "pandera", "papermill", "scipy", "skl2onnx", "sklearn"]
ROOMS = {f"slipway.{room}" for room in ("core", "cases", "serving", "training", "tools")} | {"service", "notebooks"}
MAY_IMPORT = {
    "slipway/core": {"slipway.core"},
    "slipway/cases": {"slipway.core", "slipway.cases"},
    "slipway/serving": {"slipway.core", "slipway.cases", "slipway.serving"},
    "slipway/training": {"slipway.core", "slipway.cases", "slipway.serving", "slipway.training"},
    "slipway/tools": {"slipway.tools"},
    "service.py": {"slipway.core", "slipway.cases", "slipway.serving"},
}


def imported_rooms(path: Path) -> set[str]:
    """The project's own rooms that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {room for room in ROOMS for name in names if name == room or name.startswith(f"{room}.")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_through_its_doors_only(room):
    path = ROOT / room
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        assert imported_rooms(file) <= MAY_IMPORT[room], file


def test_an_import_through_a_wall_is_seen(tmp_path):
    file = tmp_path / "wall.py"
    file.write_text("def f():\n    from slipway.training import data\n")
    assert imported_rooms(file) == {"slipway.training"}


@pytest.fixture(scope="session")
def serving_python(tmp_path_factory):
    """An interpreter with the serving lock installed, and nothing else."""
    folder = tmp_path_factory.mktemp("serving") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", ROOT / "requirements" / "serving.txt"]
    subprocess.run([python, *install], check=True)
    return python


def test_the_service_starts_on_the_serving_lock_alone(serving_python, tmp_path):
    port = free_port()
    command = [str(serving_python), "-m", "bentoml", "serve", "-p", str(port)]
    with running(command, port, tmp_path / "log", PATH=f"{serving_python.parent}:{os.environ['PATH']}") as server:
        apple = {"records": [{"weight": 152, "length": 71, "width": 73, "colour": "red"}]}
        assert server.client.post("/v1/fruit", json=apple).status_code == 200


def test_nothing_of_the_training_stack_is_there(serving_python):
    names = ", ".join(map(repr, TRAINING_STACK))
    find = f"from importlib.util import find_spec; print(*[name for name in ({names}) if find_spec(name)])"
    found = subprocess.run([serving_python, "-c", find], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
