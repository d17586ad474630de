"""Every error, whoever raised it, in one shape."""

import json

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from support.inprocess import client, front

from slipway.serving.http.errors import MAX_PROBLEMS, error_body


def shaped(status, said):
    return json.loads(error_body(status, said if isinstance(said, bytes) else json.dumps(said).encode(), "id-1"))


def test_a_validation_error_names_record_and_field():
    said = {
        "error": "1 validation error",
        "detail": [{"loc": ["records", 3, "weight"], "msg": "too heavy", "type": "x"}],
    }
    assert shaped(400, said) == {
        "error": "invalid request",
        "detail": [{"record": 3, "field": "weight", "problem": "too heavy"}],
        "request_id": "id-1",
    }


def test_an_error_of_the_whole_body_names_no_record():
    said = {"detail": [{"loc": [], "msg": "Invalid JSON"}, {"loc": ["records"], "msg": "Field required"}]}
    assert shaped(400, said)["detail"] == [
        {"problem": "Invalid JSON"},
        {"field": "records", "problem": "Field required"},
    ]


@pytest.mark.parametrize(
    "said", [{"error": "no"}, [{"error": "no"}], b"no", {"detail": "no"}, {"error": "no", "detail": None}, "no"]
)
def test_whatever_shape_it_came_in(said):
    assert shaped(404, said) == {"error": "no", "detail": [], "request_id": "id-1"}


def test_an_empty_body_gets_the_phrase_of_its_status():
    assert shaped(405, b"")["error"] == "Method Not Allowed"


def test_a_thousand_problems_are_not_all_told():
    said = {"detail": [{"loc": ["records", i, "weight"], "msg": "no"} for i in range(1000)]}
    detail = shaped(400, said)["detail"]
    assert len(detail) == MAX_PROBLEMS + 1
    assert detail[-1] == {"problem": f"and {1000 - MAX_PROBLEMS} more"}


def ask(app, **headers):
    return client(front(app=app)).get("/", headers=headers)


def test_an_answer_passes_unchanged_but_for_its_id():
    answer = ask(PlainTextResponse("fine"))
    assert answer.text == "fine"
    assert len(answer.headers["x-request-id"]) == 32


def test_the_id_of_an_error_is_in_its_header_and_its_body():
    answer = ask(JSONResponse({"error": "no"}, 400))
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_client_may_choose_the_id():
    assert ask(PlainTextResponse("fine"), **{"X-Request-ID": "order-7"}).headers["x-request-id"] == "order-7"


@pytest.mark.parametrize("unfit", ["a b", "x" * 129, '"', "é".encode()])
def test_but_not_one_that_would_spoil_a_log(unfit):
    assert ask(PlainTextResponse("fine"), **{"X-Request-ID": unfit}).headers["x-request-id"] != unfit


def test_an_exception_that_nobody_caught_is_a_500_at_once_with_its_trace_in_the_log(caplog):
    async def broken(scope, receive, send):
        raise KeyError("a bug")

    answer = ask(broken)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "detail", "request_id"}
    assert "a bug" not in answer.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert isinstance(record.exc_info[1], KeyError)
