"""Starting the service: with the right model, or not at all and with one line that says why."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.server import bentoml_build, bentoml_serve, newest, start

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path):
    """A copy of the tests' model store that a test may spoil."""
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", tmp_path / "store" / "models")
    return tmp_path / "store"


def test_a_model_that_is_not_the_one_released_ends_the_start_with_one_line(store):
    path = newest(store, "fruit") / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"kiwi", b"pear"))
    code, said = start(store)
    assert code != 0
    assert len(said) == 1
    assert f"fruit:{path.parent.name}: model.onnx is not the file that was released" in said[0]


def test_a_model_of_another_case_under_its_name_is_refused(store):
    shutil.copy(newest(store, "house_price") / "model.onnx", newest(store, "fruit") / "model.onnx")
    code, said = start(store)
    assert code != 0
    assert len(said) == 1
    assert "not the file that was released" in said[0]


def test_a_whole_release_of_another_case_under_its_name_is_refused(store):
    for name in ("model.onnx", "card.json"):
        shutil.copy(newest(store, "house_price") / name, newest(store, "fruit") / name)
    code, said = start(store)
    assert code != 0
    assert len(said) == 1
    assert "is a release of house_price" in said[0]


def test_no_model_ends_the_start_with_what_to_do(tmp_path):
    code, said = start(tmp_path / "empty")
    assert code != 0
    assert len(said) == 1
    assert "`make models` releases one" in said[0]


def test_it_listens_on_this_machine_only(served):
    processes = [served.process, *psutil.Process(served.process.pid).children(recursive=True)]
    connections = [each for process in processes for each in psutil.Process(process.pid).net_connections()]
    assert {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_make_serve_says_that_its_port_is_taken(served):
    # whatever the date of the lock: it is installed
    command = ["make", "-o", ".venv/installed", "serve", f"PORT={served.client.base_url.port}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode != 0
    assert f"cannot listen on 127.0.0.1:{served.client.base_url.port}" in answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr


def test_rolling_back_is_serving_the_bento_before(store, tmp_path):
    """A Bento answers with the versions that it was built with, also when newer ones have been released since."""
    environment = os.environ | {"BENTOML_HOME": str(store)}
    bento = bentoml_build(BENTOML_HOME=str(store))
    pinned = newest(store, "fruit").name

    release_again = "import bentoml, shutil\nold = bentoml.models.get('fruit:latest')\n"
    release_again += "with bentoml.models.create('fruit') as new:\n"
    release_again += "    for name in ('model.onnx', 'card.json'): shutil.copy(old.path_of(name), new.path_of(name))\n"
    subprocess.run([sys.executable, "-c", release_again], env=environment, check=True)
    assert newest(store, "fruit").name != pinned

    apple = {"records": [{"weight": 152, "length": 71, "width": 73, "colour": "red"}]}
    with bentoml_serve(tmp_path / "log", bento, BENTOML_HOME=str(store)) as server:
        assert server.client.post("/v1/fruit", json=apple).json()["model"] == f"fruit:{pinned}"
