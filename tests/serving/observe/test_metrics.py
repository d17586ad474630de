"""What `/metrics` says of a served process: the same in both APIs, exact, and bounded whatever clients ask."""

import sys
import time
from collections import Counter

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.server import bentoml_serve, free_port, running, tensors

from slipway.cases import CASES
from slipway.core.record import example

HOUSE, APPLE = example(CASES["house_price"].record), example(CASES["fruit"].record)
FRUIT_COLUMNS = {"inputs": tensors(CASES["fruit"], [APPLE] * 2)}


def samples(server):
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    return [sample for family in families for sample in family.samples]


def value(server, name, **labels):
    """The sum of the samples that have these labels."""
    found = [each.value for each in samples(server) if each.name == name and labels.items() <= each.labels.items()]
    assert found, f"no {name} with {labels}"
    return sum(found)


@pytest.fixture
def server(tmp_path):
    with bentoml_serve(tmp_path / "log") as server:
        yield server


def test_records_are_counted_by_case_version_and_outcome(server):
    version = server.client.post("/v1/fruit", json={"records": [APPLE] * 3}).json()["model"].partition(":")[2]
    server.client.post("/v2/models/fruit/infer", json=FRUIT_COLUMNS)
    server.client.post("/v1/fruit", json={"records": [APPLE, {}]})
    server.client.post("/v2/models/fruit/infer", json={"inputs": []})
    counts = {
        outcome: value(server, "slipway_predictions_total", case="fruit", version=version, outcome=outcome)
        for outcome in ("answered", "refused", "failed")
    }
    assert counts == {"answered": 5, "refused": 2, "failed": 0}
    assert value(server, "slipway_predictions_total", case="house_price") == 0


def test_each_value_is_counted_in_its_bin(server):
    """Both APIs, one record and several: a request's values are the same whatever way they came."""
    server.client.post("/v1/fruit", json={"records": [APPLE] * 3})
    server.client.post("/v1/fruit", json={"records": [APPLE]})
    server.client.post("/v2/models/fruit/infer", json=FRUIT_COLUMNS)
    bins = Counter()
    for sample in samples(server):
        if sample.name == "slipway_feature_bin_total" and sample.labels["case"] == "fruit" and sample.value:
            bins[sample.labels["feature"]] += 1
            assert sample.value == 6, sample
    assert bins == {"weight": 1, "length": 1, "width": 1, "colour": 1, "prediction": 1}
    assert value(server, "slipway_feature_bin_total", case="fruit", feature="colour", bin="red") == 6
    assert value(server, "slipway_feature_bin_total", case="fruit", feature="prediction", bin="apple") == 6


def test_every_bin_is_there_from_the_start_with_its_share_of_the_reference(server):
    counted = {}
    shares = {}
    for sample in samples(server):
        key = tuple(sorted(sample.labels.items()))
        if sample.name == "slipway_feature_bin_total":
            counted[key] = sample.value
        if sample.name == "slipway_reference_share":
            shares[key] = sample.value
    assert counted.keys() == shares.keys()
    assert set(counted.values()) == {0}
    features = Counter()
    for key, share in shares.items():
        labels = dict(key)
        features[labels["case"], labels["feature"]] += share
        assert share > 0
    expected = {(name, feature) for name, case in CASES.items() for feature in [*case.features, "prediction"]}
    assert set(features) == expected
    np.testing.assert_allclose(list(features.values()), 1)


def test_a_path_that_nobody_serves_makes_no_series_of_its_own(server):
    before = len(samples(server))
    for number in range(50):
        assert server.client.get(f"/nothing/{number}").status_code == 404
    assert value(server, "bentoml_service_request_total", endpoint="other", http_response_code="404") == 50
    assert len(samples(server)) < before + 50  # a counter and a histogram, of `other` and of /metrics itself


def test_requests_are_counted_under_the_names_and_labels_of_bentoml_s_own_metrics(server, tmp_path):
    """A plain BentoML service beside ours: whoever has dashboards of it finds the same series here."""
    script = tmp_path / "plain.py"
    script.write_text(
        "import bentoml\n\n@bentoml.service\nclass Plain:\n"
        "    @bentoml.api(route='/v1/fruit')\n    async def fruit(self, x: int) -> int:\n        return x\n"
    )
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", f"{script.stem}:Plain", "-p", str(port)]
    home = tmp_path / "home"
    environment = {"BENTOML_HOME": str(home), "BENTOML_HOST": "127.0.0.1", "PYTHONPATH": str(tmp_path)}
    with running([*command, "--working-dir", str(tmp_path)], port, tmp_path / "plain.log", **environment) as plain:
        plain.client.post("/v1/fruit", json={"x": 1})
        server.client.post("/v1/fruit", json={"records": [APPLE]})
        theirs, ours = (
            {
                (sample.name, tuple(sorted(set(sample.labels) - {"le"})))
                for sample in samples(each)
                if sample.labels.get("endpoint") == "/v1/fruit"
            }
            for each in (plain, server)
        )
    assert theirs == ours
    assert {name for name, _ in ours} >= {
        "bentoml_service_request_total",
        "bentoml_service_request_in_progress",
        "bentoml_service_request_duration_seconds_bucket",
    }


def test_a_model_asked_for_by_its_version_counts_as_the_model(server):
    version = server.client.get("/v2/models/fruit").json()["versions"][0]
    server.client.post(f"/v2/models/fruit/versions/{version}/infer", json=FRUIT_COLUMNS)
    server.client.post(f"/v2/models/fruit/versions/{version}/infer", json={"inputs": []})
    endpoint = {"endpoint": "/v2/models/fruit/infer"}
    assert value(server, "bentoml_service_request_total", http_response_code="200", **endpoint) == 1
    assert value(server, "bentoml_service_request_total", http_response_code="400", **endpoint) == 1
    assert value(server, "slipway_predictions_total", case="fruit", outcome="refused") == 1


def test_durations_have_buckets_fine_enough_for_a_fast_answer(server):
    for _ in range(20):
        server.client.post("/v2/models/fruit/infer", json=FRUIT_COLUMNS)
    labels = {"endpoint": "/v2/models/fruit/infer", "http_response_code": "200"}
    name = "bentoml_service_request_duration_seconds"
    assert value(server, f"{name}_count", **labels) == 20
    assert value(server, f"{name}_bucket", le="+Inf", **labels) == 20
    below_5_ms = [
        each for each in samples(server) if each.name == f"{name}_bucket" and float(each.labels["le"]) < 0.005
    ]
    assert len({each.labels["le"] for each in below_5_ms}) >= 3


def test_two_workers_are_added_up(tmp_path):
    options = "services.slipway.workers=2"
    with bentoml_serve(tmp_path / "log", BENTOML_CONFIG_OPTIONS=options) as server:
        for _ in range(40):  # each on a connection of its own, so that both workers are asked
            httpx.post(server.client.base_url.join("/v1/fruit"), json={"records": [APPLE]})
        assert value_within(server, 40, "slipway_predictions_total", case="fruit", outcome="answered") == 40


def value_within(server, expected, name, **labels):
    """The value once it is the expected one, or after some seconds: the other worker hands over once a second."""
    deadline = time.monotonic() + 5
    while (found := value(server, name, **labels)) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
