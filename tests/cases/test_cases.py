"""A case is complete: its file names a data set, a datasheet, a notebook and a method of the service."""

from pathlib import Path

import pytest

from service import Slipway
from slipway.cases import CASES
from slipway.serving.record import example

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)


def test_it_has_data_a_datasheet_and_the_script_that_made_them(case):
    assert {path.suffix for path in (ROOT / "data").glob(f"{case.name}.*")} == {".csv", ".md", ".py"}


def test_it_has_a_notebook(case):
    assert len(list((ROOT / "notebooks" / "source").glob(f"[0-9][0-9]_{case.name}.md"))) == 1


def test_the_service_answers_it(case):
    assert case.route in {method.route for method in Slipway.apis.values()}


def test_a_line_of_its_data_is_a_record_and_a_target(case):
    assert set(case.row.model_fields) > set(case.record.model_fields)
    assert case.target in set(case.row.model_fields) - set(case.record.model_fields)


def test_its_example_is_valid_and_complete(case):
    assert set(example(case.record)) == set(case.features)
    case.record.model_validate(example(case.record))


def test_every_field_says_what_it_is(case):
    assert all(field.description for field in case.record.model_fields.values())


def test_it_has_a_gate(case):
    assert case.gate
