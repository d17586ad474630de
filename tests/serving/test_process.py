"""The processes of the service: what a worker ends and what not, and what its siblings and successors share with it."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.server import bentoml_serve, free_port, newest, running, workers

ROOT = Path(__file__).parents[2]
APPLE = {"records": [{"weight": 152, "length": 71, "width": 73, "colour": "red"}]}


@pytest.fixture
def store(tmp_path):
    """A copy of the tests' model store that a test may spoil."""
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", tmp_path / "store" / "models")
    return tmp_path / "store"


def release_again(store):
    """Release the same fruit model anew; its version."""
    script = "import bentoml, shutil\nold = bentoml.models.get('fruit:latest')\n"
    script += "with bentoml.models.create('fruit') as new:\n"
    script += "    for name in ('model.onnx', 'card.json'): shutil.copy(old.path_of(name), new.path_of(name))\n"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"BENTOML_HOME": str(store)}, check=True)
    return newest(store, "fruit").name


@pytest.mark.parametrize("spoil", ["a byte changed", "file gone"])
def test_a_service_made_by_hand_raises_and_its_parent_lives(store, spoil):
    """In a shell or in Jupyter a model that is not fit to serve is an exception, and nobody is sent a signal."""
    path = newest(store, "fruit") / "model.onnx"
    if spoil == "file gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"kiwi", b"pear"))
    make = f"'{sys.executable}' -c 'from service import Slipway; Slipway()'; echo $? and the shell lives"
    environment = os.environ | {"BENTOML_HOME": str(store)}
    answer = subprocess.run(["bash", "-c", make], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "1 and the shell lives\n"
    said = answer.stderr.splitlines()[-1]
    assert said.startswith("slipway.core.model.ModelFileError: ")
    assert f"fruit:{newest(store, 'fruit').name}" in said


def counted(server):
    """How many fruits a server says that it has answered."""
    lines = server.client.get("/metrics").text.splitlines()
    (line,) = (
        each for each in lines if "slipway_predictions_total{" in each and 'case="fruit",outcome="answered"' in each
    )
    return float(line.rpartition(" ")[2])


def test_two_services_on_one_home_count_their_own(store, tmp_path):
    def serve(number):
        port = free_port()
        command = [sys.executable, "-m", "bentoml", "serve", "-p", str(port)]
        environment = {"BENTOML_HOME": str(store), "SLIPWAY_DRAIN_SECONDS": "0"}
        return running(command, port, tmp_path / f"log-{number}", **environment)

    with serve(1) as first:
        first.client.post("/v1/fruit", json=APPLE)
        with serve(2) as second:
            for _ in range(2):
                second.client.post("/v1/fruit", json=APPLE)
            first.client.post("/v1/fruit", json=APPLE)
            first.client.post("/v1/fruit", json=APPLE)
            assert (counted(first), counted(second)) == (3, 2)


def test_a_worker_that_is_replaced_answers_with_what_the_start_resolved(store, tmp_path):
    with bentoml_serve(tmp_path / "log", BENTOML_HOME=str(store)) as server:
        before = server.client.post("/v1/fruit", json=APPLE).json()["model"]
        assert release_again(store) != before.partition(":")[2]
        (worker,) = workers(server)
        worker.kill()
        deadline = time.monotonic() + 30
        while [each.pid for each in workers(server)] in ([], [worker.pid]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert server.client.post("/v1/fruit", json=APPLE).json()["model"] == before


def test_a_release_can_be_named(store, tmp_path):
    old = newest(store, "fruit").name
    new = release_again(store)
    for pinned, expected in ((f"fruit:{old}", old), (f"house_price:{newest(store, 'house_price').name}", new)):
        with bentoml_serve(tmp_path / expected, BENTOML_HOME=str(store), SLIPWAY_RELEASES=pinned) as server:
            assert server.client.post("/v1/fruit", json=APPLE).json()["model"] == f"fruit:{expected}"


def test_nothing_stays_in_the_temporary_folder(tmp_path):
    temporary = tmp_path / "t"
    temporary.mkdir()
    with bentoml_serve(tmp_path / "log", TMPDIR=str(temporary)):
        assert list(temporary.glob("slipway-metrics-*"))
    assert not list(temporary.glob("slipway-metrics-*"))
