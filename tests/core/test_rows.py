"""Columns read as rows: nothing is lost, nothing is made up, and what does not fit together is refused."""

import pytest
from pydantic import BaseModel, SerializeAsAny, ValidationError

from slipway.core.rows import Rows


class Point(BaseModel):
    x: int
    y: float


class Line(BaseModel):
    points: SerializeAsAny[list[Point]]


POINTS = [Point(x=1, y=0.5), Point(x=2, y=1.5), Point(x=3, y=2.5)]
COLUMNS = {"y": (0.5, 1.5, 2.5), "x": [1, 2, 3]}  # in any order


def test_rows_are_a_sequence_of_objects():
    rows = Rows(Point, COLUMNS)
    assert len(rows) == 3
    assert list(rows) == rows[:] == POINTS
    assert rows[-1] == POINTS[-1]
    assert rows[1:] == POINTS[1:]
    with pytest.raises(IndexError):
        rows[3]


def test_rows_are_equal_to_the_list_that_they_stand_for():
    rows = Rows(Point, COLUMNS)
    assert rows == POINTS
    assert repr(rows) == repr(POINTS)
    assert rows != POINTS[:2]
    assert rows != "abc"


@pytest.mark.filterwarnings("error")
def test_pydantic_writes_them_as_that_list():
    lazy, made = Line.model_construct(points=Rows(Point, COLUMNS)), Line(points=POINTS)
    assert lazy == made
    assert lazy.model_dump() == made.model_dump()
    assert lazy.model_dump_json() == made.model_dump_json()


@pytest.mark.parametrize("columns", [{"x": [1]}, {"x": [1], "y": [0.5], "z": [2]}, {}])
def test_there_is_a_column_for_each_field_and_for_nothing_else(columns):
    with pytest.raises(ValueError, match="but Point has x, y"):
        Rows(Point, columns)


def test_the_columns_are_of_one_length():
    with pytest.raises(ValueError, match="the columns of Point have 1, 2 values"):
        Rows(Point, {"x": [1, 2], "y": [0.5]})


def test_an_object_is_validated_when_it_is_asked_for():
    rows = Rows(Point, {"x": [1, "two"], "y": [0.5, 1.5]})
    assert rows[0] == POINTS[0]
    with pytest.raises(ValidationError, match="valid integer"):
        rows[1]
