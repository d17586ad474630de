"""Clients that others wrote talk to the v2 API as they are, and understand what it answers."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from requirements.environments import python_of
from slipway.cases import CASES
from slipway.core.record import example
from slipway.training.data import load

CLIENTS = ["triton_client", "kserve_client"]
OPTIONS = {"its defaults, which are bytes": {}, "JSON": {"binary_data": False}}
ASKED = [
    pytest.param((client, options), id=f"{client} with {name}")
    for client in CLIENTS
    for name, options in OPTIONS.items()
]
ROWS = 20


@pytest.fixture(scope="module")
def rows():
    """Some of the test split of each case, with which both APIs are asked; the example where data are no records."""
    found = {}
    for name, case in CASES.items():
        found[name] = pd.DataFrame([example(case.record)] * ROWS)
        if set(case.features) <= set(case.row.model_fields):
            found[name] = train_test_split(load(name), test_size=0.2, random_state=0)[1].head(ROWS)[case.features]
    assert found["credit_risk"].isna().any(axis=None)  # what is not known is NaN, as NumPy has it
    return found


@pytest.fixture(scope="module")
def metadata(served):
    return {name: served.client.get(f"/v2/models/{name}").json() for name in CASES}


@pytest.fixture(scope="module", params=ASKED)
def understood(request, served, rows, metadata):
    """What a client understood, in an environment of its own."""
    client, options = request.param
    models = {
        name: {"columns": [each | {"values": rows[name][each["name"]].tolist()} for each in about["inputs"]]}
        for name, about in metadata.items()
    }
    asked = json.dumps({"url": str(served.client.base_url), "models": models, "options": options})
    script = Path(__file__).with_name(f"{client}.py")
    done = subprocess.run([python_of(client), script], input=asked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_server_and_its_models_live_and_are_ready(understood):
    assert understood["is_live"]
    assert understood["is_ready"]
    assert all(model["is_ready"] for model in understood["models"].values())
    assert not understood["has_unknown"]


def test_houses_get_the_prices_of_the_typed_door(understood, served, rows):
    outputs = understood["models"]["house_price"]["outputs"]
    body = {"records": rows["house_price"].to_dict("records")}
    results = served.client.post("/v1/house-price", json=body).json()["results"]
    for name, field in (("prediction", "price"), ("low", "low"), ("high", "high")):
        assert [[round(value) for value in row] for row in outputs[name]] == [[result[field]] for result in results]


def test_fruits_get_the_kinds_of_the_typed_door(understood, served, rows):
    outputs = understood["models"]["fruit"]["outputs"]
    results = served.client.post("/v1/fruit", json={"records": rows["fruit"].to_dict("records")}).json()["results"]
    assert outputs["prediction"] == [result["fruit"] for result in results]
    for row, result in zip(outputs["probabilities"], results, strict=True):
        assert row == pytest.approx(list(result["probabilities"].values()), abs=0.0001)


def test_they_get_the_outputs_they_choose_in_their_order_and_their_id(understood, metadata):
    for name, model in understood["models"].items():
        outputs = [output["name"] for output in metadata[name]["outputs"]]
        assert model["order"] == outputs[::-1]
        assert list(model["chosen"]) == outputs[-1:]
        assert model["id"].startswith("of-")


def test_they_raise_an_error_with_the_server_s_words(understood, metadata):
    for name, model in understood["models"].items():
        status, words = model["error"]
        assert status == "400"
        assert f"there is no input {metadata[name]['inputs'][0]['name']}" in words


@pytest.mark.parametrize("understood", [each for each in ASKED if "triton" in each.id], indirect=True)
def test_triton_s_client_reads_the_metadata(understood, metadata):
    assert understood["server"]["name"] == "slipway"
    assert understood["server"]["extensions"] == ["binary_tensor_data"]
    for name, model in understood["models"].items():
        assert model["metadata"] == metadata[name]
        assert model["version"] in metadata[name]["versions"]


@pytest.mark.parametrize("understood", [each for each in ASKED if "triton" in each.id], indirect=True)
def test_triton_s_client_gets_bytes_where_it_asks_for_them(understood, request):
    are_bytes = "defaults" in request.node.callspec.id
    for model in understood["models"].values():
        assert set(model["are_bytes"]) == {are_bytes}
