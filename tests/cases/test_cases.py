"""A case is complete: its file names a data set, a datasheet, a notebook and a method of the service."""

from pathlib import Path

import pytest

from service import Slipway
from slipway.cases import CASES
from slipway.core.record import example

ROOT = Path(__file__).parents[2]
NEVER_COMMITTED = {"recommendation"}  # for study alone, and not to be passed on: data/recommendation.md

pytestmark = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)


def test_it_has_a_datasheet_a_script_that_makes_its_data_and_the_data_unless_their_licence_forbids(case):
    found = {path.suffix for path in (ROOT / "data").glob(f"{case.name}.*")}
    assert found >= {".md", ".py"}
    if case.name in NEVER_COMMITTED:
        assert f"data/{case.name}.csv" in (ROOT / ".gitignore").read_text().split()
    else:
        assert ".csv" in found


def test_it_has_a_notebook(case):
    assert len(list((ROOT / "notebooks" / "source").glob(f"[0-9][0-9]_{case.name}.md"))) == 1


def test_the_service_answers_it(case):
    assert case.route in {method.route for method in Slipway.apis.values()}


def test_its_data_have_the_target_and_its_records_do_not(case):
    assert case.target in set(case.row.model_fields) - set(case.record.model_fields)


def test_its_example_is_valid_and_complete(case):
    assert set(example(case.record)) == set(case.features)
    case.record.model_validate(example(case.record))


def test_every_field_says_what_it_is(case):
    assert all(field.description for field in case.record.model_fields.values())


def test_it_has_a_gate(case):
    assert case.gate
