"""What every request passes: in which order, how it is counted, and what becomes of an exception."""

import logging

import pytest
from starlette.responses import PlainTextResponse
from support.inprocess import client, front

from slipway.serving.http import admission
from slipway.serving.http.front import PASSED
from slipway.serving.http.limits import MAX_BODY_BYTES

BEARER = {"Authorization": "Bearer secret"}


def requests(stack):
    """How many requests were counted, by endpoint and status."""
    stack.telemetry.flush()
    found = {}
    for line in stack.telemetry.text().decode().splitlines():
        if line.startswith("bentoml_service_request_total{") and not line.endswith(" 0.0"):
            endpoint, status = (
                line.partition(f'{label}="')[2].partition('"')[0] for label in ("endpoint", "http_response_code")
            )
            found[endpoint, int(status)] = float(line.rpartition(" ")[2])
    return found


def test_what_reaches_the_application_bears_the_mark_of_having_passed():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope.get(PASSED))
        await PlainTextResponse("here")(scope, receive, send)

    assert client(front(app=app)).get("/anything").text == "here"
    assert seen == [True]


def test_a_refusal_comes_before_the_body_is_looked_at_and_each_is_counted():
    stack = front(tokens=[b"secret"])
    asked = client(stack)
    too_large = bytes(MAX_BODY_BYTES + 1)
    assert asked.post("/v1/fruit", content=too_large).status_code == 401
    assert asked.post("/v1/fruit", content=too_large, headers=BEARER).status_code == 413
    assert asked.post("/v1/fruit", content=b"{}", headers=BEARER | {"Content-Type": "text/plain"}).status_code == 415
    assert asked.get("/livez").status_code == 200
    assert requests(stack) == {("other", 401): 1, ("other", 413): 1, ("other", 415): 1, ("other", 200): 1}


def test_nothing_stays_held_whatever_becomes_of_a_request(monkeypatch):
    async def broken(scope, receive, send):
        raise KeyError("a bug")

    stack = front(app=broken)
    asked = client(stack)
    assert asked.post("/v1/fruit", content=b"{}").status_code == 500
    assert asked.post("/v1/fruit", content=bytes(MAX_BODY_BYTES + 1)).status_code == 413
    monkeypatch.setattr(admission, "MAX_PENDING_REQUESTS", 0)
    assert asked.post("/v1/fruit", content=b"{}").status_code == 429
    assert (stack.admission.buffered, stack.admission.pending) == (0, 0)


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one():
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        client(front(app=half)).get("/")


def test_a_worker_that_drains_asks_its_clients_to_connect_anew():
    stack = front()
    asked = client(stack)
    assert "connection" not in asked.get("/").headers
    stack.worker.is_draining = True
    assert asked.get("/").headers["connection"] == "close"


def test_a_path_with_a_slash_too_many_is_told_of_the_one_without():
    stack = front()
    stack.telemetry.requests.serve("/v1/fruit", "/v1/fruit")
    answer = client(stack).post("/v1/fruit/", content=b"{}")
    assert answer.status_code == 404
    assert "did you mean /v1/fruit" in answer.json()["error"]


def test_counts_that_cannot_be_handed_over_are_logged_and_counted_and_the_rest_goes_on(monkeypatch, caplog):
    stack = front()
    telemetry = stack.telemetry

    class Broken:
        def flush(self):
            raise OSError("the disk is full")

    telemetry.predictions["/v1/broken"] = Broken()
    client(stack).get("/elsewhere")
    with caplog.at_level(logging.ERROR):
        telemetry.flush()
    assert "the disk is full" in caplog.text
    text = telemetry.text().decode()
    assert "slipway_metrics_flush_failures_total 1.0" in text
    assert 'endpoint="other",http_response_code="200"' in text
