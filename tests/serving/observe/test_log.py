"""What the log says of an exception: whose mistake it was decides."""

import logging
import sys

import pytest
from bentoml.exceptions import InternalServerError, InvalidArgument
from pydantic import ValidationError

from slipway.cases.fruit import Fruit
from slipway.serving.api.v1 import Batch
from slipway.serving.observe import log


def logged(error):
    """The record of an exception after the filter."""
    try:
        raise error
    except Exception:
        record = logging.LogRecord("bentoml", logging.ERROR, "", 0, "Exception on %s", ("/v1/fruit",), sys.exc_info())
    assert log.RequestLog().filter(record)
    return record


@pytest.fixture(autouse=True)
def request_seven():
    token = log.request_id.set("seven")
    yield
    log.request_id.reset(token)


def refusals():
    with pytest.raises(ValidationError) as caught:
        Fruit.model_validate({})
    return [caught.value, InvalidArgument("no")]


@pytest.mark.parametrize("error", refusals(), ids=lambda error: type(error).__name__)
def test_a_refusal_has_no_trace(error):
    record = logged(error)
    assert record.exc_info is None
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("Exception on /v1/fruit, request seven: ")


@pytest.mark.parametrize("error", [KeyError("x"), InternalServerError("no")], ids=lambda error: type(error).__name__)
def test_a_failure_keeps_its_trace(error):
    record = logged(error)
    assert record.exc_info[1] is error
    assert record.levelname == "ERROR"
    assert record.getMessage() == "Exception on /v1/fruit, request seven"


def test_what_is_no_exception_passes_unchanged():
    record = logging.LogRecord("bentoml", logging.INFO, "", 0, "ready on %d", (3000,), None)
    assert log.RequestLog().filter(record)
    assert record.getMessage() == "ready on 3000"


def test_a_refusal_names_the_record_and_the_field():
    with pytest.raises(ValidationError) as caught:
        Batch[Fruit].model_validate({"records": [{"weight": 152, "length": 71, "width": 73}]})
    assert logged(caught.value).getMessage().endswith("request seven: records.0.colour: Field required")


def test_of_many_problems_it_names_the_first_and_counts_the_rest():
    with pytest.raises(ValidationError) as caught:
        Fruit.model_validate({})
    assert logged(caught.value).getMessage().endswith("weight: Field required, and 3 more")


def test_a_client_cannot_write_a_line_of_its_own():
    with pytest.raises(ValidationError) as caught:
        Fruit.model_validate_json(
            '{"weight": 152, "length": 71, "width": 73, "colour": "red", "\\n[ERROR] all is lost": 1}'
        )
    message = logged(caught.value).getMessage()
    assert len(message.splitlines()) == 1
    assert "all is lost" in message
