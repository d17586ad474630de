"""The four servers of `benchmarks/`, started for real: they price houses alike, and differ in what they refuse."""

import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from support.server import free_port

from slipway.cases import CASES
from slipway.core.record import example
from slipway.training.data import load

APPS = Path(__file__).parents[2] / "benchmarks" / "apps"
COMMANDS = {
    "flask": "gunicorn --threads 4 --bind 127.0.0.1:{port} flask_app:app",
    "django": "gunicorn --threads 4 --bind 127.0.0.1:{port} django_app:app",
    "fastapi": "uvicorn --port {port} fastapi_app:app",
    "bentoml": "bentoml serve --host 127.0.0.1 --port {port} bentoml_app:HousePrice",
}
HOUSES = CASES["house_price"]
HOUSE = example(HOUSES.record)


def stop(process):
    process.terminate()
    process.wait(timeout=30)


def wait_until_ready(process, client):
    """Returns at the first answer: three of the four do not know `/readyz`, and a 404 says that they listen."""
    for _ in range(600):
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code in (200, 404):
                return
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"{process.args} ended with code {process.wait(timeout=0.1)}")
    pytest.fail(f"{process.args} does not answer")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "house_price.joblib"
    subprocess.run([sys.executable, APPS.parent / "train.py"], env={**os.environ, "MODEL": str(path)}, check=True)
    return path


@pytest.fixture(scope="module")
def clients(model_file, tmp_path_factory):
    """A client for each server. All start at once: most of a start is importing."""
    environment = {
        **os.environ,
        "MODEL": str(model_file),
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),  # else it would clear the metrics of a running service
        "BENTOML_DO_NOT_TRACK": "True",
    }
    with ExitStack() as stack:
        started = {}
        for name, command in COMMANDS.items():
            port = free_port()
            arguments = [sys.executable, "-m", *command.format(port=port).split()]
            process = subprocess.Popen(arguments, cwd=APPS, env=environment)
            stack.callback(stop, process)
            # no connection is used twice: uvicorn closes one after an exception, perhaps while the next request comes
            once = httpx.Limits(max_keepalive_connections=0)
            client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=once))
            started[name] = process, client
        for process, client in started.values():
            wait_until_ready(process, client)
        yield {name: client for name, (_, client) in started.items()}


@pytest.fixture(params=COMMANDS)
def name(request):
    return request.param


def status(client, *records):
    return client.post("/predict", json={"records": records}).status_code


def without(field):
    return {name: value for name, value in HOUSE.items() if name != field}


def test_the_prices_are_those_of_the_model(clients, model_file, name):
    houses = load("house_price")[HOUSES.features].head(50)
    response = clients[name].post("/predict", json={"records": houses.to_dict("records")})
    assert response.status_code == 200
    assert response.json().keys() == {"prices"}
    np.testing.assert_allclose(response.json()["prices"], joblib.load(model_file).predict(houses), rtol=1e-9)


@pytest.mark.parametrize(
    "record", [HOUSE | {"living_area": "large"}, without("living_area")], ids=["word for a number", "no living area"]
)
def test_a_record_the_model_cannot_read_crashes_what_has_no_schema(clients, name, record):
    assert status(clients[name], record) == {"flask": 500, "django": 500, "fastapi": 422, "bentoml": 400}[name]


def test_a_missing_word_gets_a_price_where_there_is_no_schema(clients, name):
    """The second record's word is filled in as missing, and the one-hot encoder ignores what it does not know."""
    expected = {"flask": 200, "django": 200, "fastapi": 422, "bentoml": 400}[name]
    assert status(clients[name], HOUSE, without("neighborhood")) == expected


@pytest.mark.parametrize(
    "change",
    [{"living_area": "1656"}, {"neighborhood": "North Ames"}, {"year_built": 3000}, {"living_area": 154}],
    ids=["number as text", "misspelt word", "year to come", "square metres"],
)
def test_a_type_alone_does_not_refuse_a_wrong_value(clients, name, change):
    assert status(clients[name], HOUSE | change) == 200


def test_no_records_at_all_crash_every_one(clients, name):
    assert status(clients[name]) == 500


def test_bentoml_alone_brings_metrics(clients, name):
    assert clients[name].get("/metrics").status_code == (200 if name == "bentoml" else 404)


def test_an_openapi_page_comes_with_the_types(clients, name):
    page = {"flask": None, "django": None, "fastapi": "/openapi.json", "bentoml": "/docs.json"}[name]
    answers = {path for path in ("/openapi.json", "/docs.json") if clients[name].get(path).status_code == 200}
    assert answers == ({page} if page else set())
