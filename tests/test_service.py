"""The served process, over HTTP."""

import json

import pytest
from support.bodies import BAD_FIELDS
from support.server import ask_example

from slipway.cases import CASES
from slipway.core.record import example
from slipway.serving.http.limits import MAX_RECORDS

HOUSE, APPLE = example(CASES["house_price"].record), example(CASES["fruit"].record)
JSON = {"Content-Type": "application/json"}


def ask(served, route, records):
    return served.client.post(route, json={"records": records})


def test_a_house_gets_a_price_with_an_interval_and_the_model_s_version(served):
    answer = ask(served, "/v1/house-price", [HOUSE])
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"].startswith("house_price:")
    (price,) = body["results"]
    assert 50_000 < price["low"] < price["price"] < price["high"] < 500_000


def test_a_fruit_gets_a_probability_for_each_kind(served):
    (kind,) = ask(served, "/v1/fruit", [APPLE]).json()["results"]
    assert kind["fruit"] == max(kind["probabilities"], key=kind["probabilities"].get)
    assert sum(kind["probabilities"].values()) == pytest.approx(1, abs=0.001)
    assert set(kind["probabilities"]) == {"apple", "banana", "kiwi", "lemon", "orange", "pear"}


def test_answers_stand_in_the_order_of_the_records(served):
    houses = [HOUSE | {"living_area": area} for area in (800, 3000, 1500)]
    alone = [ask(served, "/v1/house-price", [house]).json()["results"][0] for house in houses]
    together = ask(served, "/v1/house-price", houses).json()["results"]
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1)
    assert together[0]["price"] < together[2]["price"] < together[1]["price"]


def test_as_many_records_as_allowed_are_answered(served):
    answer = ask(served, "/v1/fruit", [APPLE] * MAX_RECORDS)
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == MAX_RECORDS


def test_every_example_of_the_openapi_page_works_as_it_stands(served):
    page = served.client.get("/docs.json").json()
    paths = {route: methods["post"] for route, methods in page["paths"].items() if route.startswith("/v1/")}
    assert set(paths) == {case.route for case in CASES.values()}
    for case in CASES.values():
        if case.reads is None:
            schema = paths[case.route]["requestBody"]["content"]["application/json"]["schema"]
            assert schema["example"] == {"records": [example(case.record)]}
        answer = ask_example(served.client, case)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["results"]) == 1


def test_so_does_every_example_of_the_v2_api(served):
    page = served.client.get("/docs.json").json()
    paths = {path: methods["post"] for path, methods in page["paths"].items() if path.endswith("/infer")}
    assert len(paths) == len(CASES)
    for path, method in paths.items():
        schema = method["requestBody"]["content"]["application/json"]["schema"]
        answer = served.client.post(path, json=schema["example"])
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_field_gets_400_that_names_record_and_field(served, field, value):
    bad = json.dumps(APPLE | {field: "@"}).replace('"@"', value)
    answer = served.client.post("/v1/fruit", content=f'{{"records": [{json.dumps(APPLE)}, {bad}]}}', headers=JSON)
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == {"error", "detail", "request_id"}
    assert [(problem["record"], problem["field"]) for problem in body["detail"]] == [(1, field)]
    assert body["request_id"] == answer.headers["x-request-id"]


def test_a_missing_field_is_named(served):
    answer = ask(served, "/v1/fruit", [{name: value for name, value in APPLE.items() if name != "colour"}])
    assert answer.status_code == 400
    assert answer.json()["detail"] == [{"record": 0, "field": "colour", "problem": "Field required"}]


BAD_BODIES = {
    "no records": '{"records": []}',
    "records that are no list": '{"records": {}}',
    "a record that is no object": '{"records": [1]}',
    "a field beside the records": json.dumps({"records": [APPLE], "verbose": True}),
    "a list": "[]",
    "null": "null",
    "nothing": "",
    "broken JSON": '{"records": [',
    "bytes that are no UTF-8": b'{"records": ["\xff"]}',
    "too many records": json.dumps({"records": [APPLE] * (MAX_RECORDS + 1)}),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_gets_400_in_the_one_shape(served, body):
    answer = served.client.post("/v1/fruit", content=body, headers=JSON)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "detail", "request_id"}
    assert answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/vnd.bentoml+pickle"]
)
def test_a_body_that_is_not_json_gets_415(served, kind):
    answer = served.client.post("/v1/fruit", content=json.dumps({"records": [APPLE]}), headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert kind in answer.json()["error"]


def test_an_unknown_page_and_a_wrong_method_have_the_one_shape(served):
    for answer, status in ((served.client.get("/nothing"), 404), (served.client.get("/v1/fruit"), 405)):
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail", "request_id"}


def test_a_refusal_is_one_line_in_the_log_with_the_request_s_id(served):
    headers = JSON | {"X-Request-ID": "refused-7"}
    served.client.post("/v1/fruit", content='{"records": [{"weight": "heavy"}]}', headers=headers)
    lines = [line for line in served.log.read_text().splitlines() if "refused-7" in line]
    assert len(lines) == 1
    assert "[WARNING]" in lines[0]
    assert "/v1/fruit" in lines[0]
    assert "Traceback" not in served.log.read_text()


def test_probes_metrics_and_the_page_answer(served):
    ask(served, "/v1/fruit", [APPLE])
    assert {served.client.get(path).status_code for path in ("/livez", "/readyz", "/", "/docs.json")} == {200}
    assert 'endpoint="/v1/fruit"' in served.client.get("/metrics").text
