"""A record is taken as it is meant, or refused."""

import pytest
from pydantic import ValidationError

from slipway.cases.fruit import Fruit
from slipway.cases.house_price import House
from slipway.core.record import example

APPLE = example(Fruit)


def test_a_valid_record_is_taken_as_it_is():
    assert Fruit.model_validate(APPLE).model_dump() == APPLE


def test_a_whole_number_may_stand_for_a_float():
    assert Fruit.model_validate_json('{"weight": 152, "length": 71.5, "width": 73, "colour": "red"}').length == 71.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", "152"),
        ("weight", True),
        ("weight", None),
        ("weight", [152]),
        ("weight", float("nan")),
        ("weight", float("inf")),
        ("weight", -1),
        ("weight", 1e300),
        ("colour", "blue"),
        ("colour", 3),
        ("colour", "Red"),
        ("ripe", True),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_field(field, value):
    with pytest.raises(ValidationError) as caught:
        Fruit.model_validate(APPLE | {field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_a_field_left_out_is_refused():
    with pytest.raises(ValidationError, match="colour"):
        Fruit.model_validate({name: value for name, value in APPLE.items() if name != "colour"})


def test_a_count_is_no_float():
    with pytest.raises(ValidationError, match="bedrooms"):
        House.model_validate(example(House) | {"bedrooms": 2.5})
