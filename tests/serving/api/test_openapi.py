"""The service does what its OpenAPI description says, asked by schemathesis: every check, every phase, both APIs.

schemathesis makes up requests that fit the description and requests that do not, and judges the answers by it. What it
finds is a list, and each entry has its reason here.
"""

import json
import subprocess
from pathlib import Path

import pytest
from support.server import bentoml_serve

from slipway.cases import CASES
from slipway.core.feature import features

OPTIONS = [
    *("--checks", "all"),
    *("--max-examples", "10"),
    "--generation-deterministic",
    *("--suppress-health-check", "all"),  # they judge how long it takes to make up houses, not the service
    *("--continue-on-failure", "--no-shrink", "--no-color"),
]

# What BentoML gets wrong: found in `plain_service.py`, which has nothing of ours in front of it. `slipway.serving` has
# mended all of it.
OF_BENTOML = {
    # With BentoML's metrics off there is no such page, but it stands in the description.
    ("UnsupportedMethodResponse", "TRACE /metrics"),
    ("UndefinedStatusCode", "GET /metrics"),
    # The error's `detail` is described as a string, and is a list.
    ("JsonSchemaError", "POST /v1/fruit"),
    ("JsonSchemaError", "POST /v1/house-price"),
    # It says OpenAPI 3.0.2, but the schemas are as of 3.1: a house's living area has a number for `exclusiveMaximum`,
    # and so no request can be made up.
    ("Schema Error", None),
}

# What is found in our service.
OF_OURS = (
    {
        # No schema can say what is a recording of a digit: schemathesis uploads noise.
        ("RejectedPositiveData", f"POST {case.route}")
        for case in CASES.values()
        if case.reads is not None
    }
    | {
        # JSON Schema counts 3.0 as an integer. The service does not: a count with a point is somebody's mistake.
        ("RejectedPositiveData", f"POST {case.route}")
        for case in CASES.values()
        if case.reads is None and any(feature.datatype == "INT64" for feature in features(case.record).values())
    }
    | {
        # No schema can say that a shape fits its data and the other shapes, that no feature has two tensors, and which
        # outputs the model has. Valid requests are made in `serving/test_inference.py`.
        ("RejectedPositiveData", f"POST /v2/models/{name}/infer")
        for name in CASES
    }
)


def schemathesis(server, folder: Path, *options):
    """What schemathesis says of a server: its report, pairs of what is wrong and where, and its words."""
    report = folder / "report.json"
    url = f"{server.client.base_url}/docs.json"
    command = ["schemathesis", "run", url, *OPTIONS, *options, "--report", "json", "--report-json-path", str(report)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert report.exists(), done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["complete"], done.stdout
    found = {(failure["type"], operation) for failure in told["failures"] for operation in failure["operations"]}
    return told, found | {(error["title"], None) for error in told["errors"]}, done.stdout


def test_both_apis_do_what_the_description_says(served, tmp_path):
    told, found, output = schemathesis(served, tmp_path)
    assert found == OF_OURS, output
    paths = served.client.get("/docs.json").json()["paths"]
    assert told["operations"]["tested"] == sum(map(len, paths.values()))
    assert all(phase["skip_reason"] is None for phase in told["phases"].values())
    assert told["test_cases"]["generated"] > 1000


def test_without_what_is_ours_bentoml_does_not(tmp_path):
    """The list is true, and the test above can fail."""
    with bentoml_serve(
        tmp_path / "log", "plain_service:Plain", PYTHONPATH=str(Path(__file__).parents[2] / "support")
    ) as server:
        _, found, output = schemathesis(server, tmp_path, "--phases", "coverage,fuzzing")
        paths = server.client.get("/docs.json").json()["paths"]
    assert found == OF_BENTOML, output
    # and what requests rarely show: that a body may be left out
    assert not any(methods["post"]["requestBody"].get("required") for methods in paths.values() if "post" in methods)


def test_the_description_has_both_apis_of_every_case(served):
    paths = served.client.get("/docs.json").json()["paths"]
    for name, case in CASES.items():
        assert paths[case.route]["post"]["tags"] == ["Models"]
        for path, method in ((f"/v2/models/{name}/infer", "post"), (f"/v2/models/{name}", "get")):
            assert paths[path][method]["tags"] == ["Open Inference Protocol"]
    assert {"/v2", "/v2/health/live", "/v2/health/ready"} < paths.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_example_of_the_v2_api_works_as_it_stands(served, name):
    path = f"/v2/models/{name}/infer"
    method = served.client.get("/docs.json").json()["paths"][path]["post"]
    example = method["requestBody"]["content"]["application/json"]["schema"]["example"]
    answer = served.client.post(path, json=example)
    assert answer.status_code == 200
    assert answer.json()["id"] == example["id"]


def test_the_errors_stand_where_they_can_happen(served):
    page = served.client.get("/docs.json").json()
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            errors = {int(status) for status in operation["responses"]} - {200}
            assert {408, 431} <= errors
            is_open = operation.get("security") == []  # asked for a token by nobody
            assert is_open == (path in {"/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready"})
            assert is_open == (not {401, 429} & errors)
            assert ({400, 413, 415, 500} <= errors) == (method == "post")
            assert (503 in errors) == path.endswith(("/ready", "/readyz"))
            for status in errors:
                shape = operation["responses"][str(status)]["content"]["application/json"]["schema"]["$ref"]
                assert shape.endswith("/ProtocolError" if path.startswith("/v2") else "/Error")


def test_a_token_may_be_sent(served):
    page = served.client.get("/docs.json").json()
    assert page["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert page["security"] == [{}, {"token": []}]  # with one or without
