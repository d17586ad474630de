"""The container image: built by `make image`'s own commands, run read-only and not as root, and asked."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import bentoml_build, free_port, running
from slipway.cases import CASES
from slipway.serving.record import example

ROOT = Path(__file__).parents[1]
IMAGE = "localhost/slipway:test"


@pytest.fixture(scope="session")
def image(engine):
    """The image of a Bento of the tests' models, removed in the end."""
    subprocess.run(engine.build(bentoml_build(), IMAGE), cwd=ROOT, check=True)
    yield IMAGE
    subprocess.run([engine.name, "rmi", IMAGE], check=True)


@pytest.fixture(scope="session")
def container(engine, image, tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("container") / "log"
    with running(engine.run(port, image), port, log, seconds=120) as server:
        yield server


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_it_answers_like_the_service_outside(container, served, case):
    body = {"records": [example(case.record)]}
    inside, outside = (server.client.post(case.route, json=body).json() for server in (container, served))
    assert inside["results"] == outside["results"]


def test_it_refuses_like_the_service_outside(container):
    answer = container.client.post("/v1/fruit", json={"records": []})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "detail", "request_id"}


def test_it_holds_the_serving_lock_and_nothing_of_the_training_stack(engine, image):
    listing = subprocess.run(
        engine.inside(["/app/.venv/bin/python", "-c", PACKAGES], image), capture_output=True, text=True, check=True
    )
    packages = set(json.loads(listing.stdout.strip().splitlines()[-1]))
    assert {"bentoml", "onnxruntime", "numpy"} <= packages
    assert not packages & {"scikit-learn", "pandas", "matplotlib", "jupyterlab", "skl2onnx", "onnx"}


PACKAGES = "import importlib.metadata as m, json; print(json.dumps([d.name.lower() for d in m.distributions()]))"


def test_its_user_is_not_root(engine, image):
    user = subprocess.run(engine.inside(["id", "-u"], image), capture_output=True, text=True, check=True)
    assert user.stdout.strip().splitlines()[-1] == "1034"


def test_it_stops_when_told(engine, image, tmp_path):
    port = free_port()
    with running(engine.run(port, image), port, tmp_path / "log", seconds=120) as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
