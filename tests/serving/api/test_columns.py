"""A column takes what the field of a record takes, and nothing else."""

import json
import re
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from slipway.core.feature import feature, features
from slipway.core.record import Record
from slipway.serving.api.columns import Column, ColumnError, element


class Lamp(Record):
    """A record with a field of each kind but lists: no case has a truth value yet."""

    level: float = Field(ge=0, lt=1)
    hours: int = Field(gt=-1, le=1000)
    lit: bool
    colour: Literal["red", "green", "warm, white"]
    turns: int
    gain: float
    price: float | None = Field(ge=0, le=100)


COLUMNS = {name: Column(feature) for name, feature in features(Lamp).items()}
DECODERS = {name: msgspec.json.Decoder(list[element(feature)]) for name, feature in features(Lamp).items()}
LAMP = {"level": "0.5", "hours": "3", "lit": "true", "colour": '"red"', "turns": "7", "gain": "1.5", "price": "9.5"}
GOOD = {
    "level": ("0, 0.5, 1e-9", [0, 0.5, 1e-9], np.float64),
    "hours": ("0, 7, 1000", [0, 7, 1000], np.int64),
    "lit": ("true, false, true", [True, False, True], np.bool_),
    "colour": ('"red", "warm, white", "gr\\u0065en"', ["red", "warm, white", "green"], np.object_),
}
BAD = {
    "a number too large": ("level", "1"),
    "a number too small": ("level", "-0.1"),
    "a count too large": ("hours", "1001"),
    "a count too small": ("hours", "-1"),
    "a count with a point": ("hours", "3.0"),
    "a count that no machine holds": ("turns", "9223372036854775808"),
    "a number of five thousand digits": ("gain", "1" * 5000),
    "infinity, by its size": ("gain", "1e400"),
    "a word for a number": ("level", '"0.5"'),
    "a truth value for a number": ("level", "true"),
    "a truth value for a count": ("hours", "true"),
    "a number for a truth value": ("lit", "1"),
    "a word for a truth value": ("lit", '"true"'),
    "a number for a word": ("colour", "1"),
    "another word": ("colour", '"blue"'),
    "a word in capitals": ("colour", '"Red"'),
    "null": ("level", "null"),
    "a number too large, where null is allowed": ("price", "100.5"),
    "a word, where null is allowed": ("price", '"null"'),
    "an object": ("level", "{}"),
    "a list in a list": ("level", "[[0.5]]"),
}


def read(name, data, rows):
    return COLUMNS[name].read(msgspec.Raw(data.encode() if isinstance(data, str) else data), rows)


def is_read(name, value, rows):
    """Whether a column takes a value in a row, the others of which are good."""
    try:
        read(name, f"[{', '.join([LAMP[name]] * (rows - 1) + [value])}]", rows)
    except ColumnError:
        return False
    return True


@pytest.mark.parametrize(("name", "good"), GOOD.items(), ids=GOOD)
def test_a_flat_list_and_a_list_of_rows_become_the_same_array(name, good):
    text, values, dtype = good
    # one of the words has a comma: values are not told apart by them
    rows = ", ".join(f"[{json.dumps(value)}]" for value in values)
    for data in (f"[{text}]", f"[{rows}]"):
        array = read(name, data, 3)
        assert array.shape == (3, 1)
        assert array.dtype == dtype
        assert array.ravel().tolist() == values


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD)
def test_a_value_that_the_feature_may_not_have_is_refused(name, value, rows):
    assert is_read(name, LAMP[name], rows)
    assert not is_read(name, value, rows)


SHAPES = {
    "too few": "[0.5]",
    "too many": "[0.5, 0.5, 0.5]",
    "none": "[]",
    "two in a row": "[[0.5, 0.5]]",
    "too many in a row": "[[0.5], [0.5, 0.5]]",
    "none in a row": "[[0.5], []]",
    "a row and none": "[[0.5], 0.5]",
    "no list": "0.5",
    "an object": '{"a": 0.5}',
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_there_is_one_value_for_each_row(data):
    with pytest.raises(ColumnError):
        read("level", data, 2)


def test_a_word_is_utf_8():
    with pytest.raises(ColumnError, match="utf-8"):
        read("colour", b'["r\xffd"]', 1)


def test_the_error_says_what_is_wrong():
    with pytest.raises(ColumnError, match=r"1\.5 is too large"):
        read("level", "[0.5, 1.5]", 2)
    with pytest.raises(ColumnError, match=r"'blue' is none of green, red, warm, white"):
        read("colour", '["blue"]', 1)
    with pytest.raises(ColumnError, match=r"Expected `float`, got `str` - at `\$\[1\]`"):
        read("level", '[0.5, "a"]', 2)


def test_a_free_word_may_be_any():
    column = Column(feature("note", {"type": "string", "title": "Note"}))
    assert column.read(msgspec.Raw(b'["a, b"]'), 1).tolist() == [["a, b"]]
    assert column.read(msgspec.Raw(b'["a", ""]'), 2).tolist() == [["a"], [""]]


def test_a_rule_that_columns_do_not_check_is_not_passed_over():
    class Coded(Record):
        code: Annotated[str, Field(pattern="[A-Z]{3}")]
        either: float | str
        maybe: int | None
        words: list[str] = Field(min_length=1, max_length=3)
        endless: list[float] = Field(min_length=1)
        several: Annotated[list[float], Field(min_length=1, max_length=3)] | None

    for name, schema in Coded.model_json_schema()["properties"].items():
        with pytest.raises(ValueError, match=f"the field {name}: columns are not checked for"):
            feature(name, schema)


def test_null_becomes_nan_where_it_is_allowed():
    assert np.isnan(read("price", "[null]", 1)).tolist() == [[True]]
    assert np.isnan(read("price", "[null, null]", 2)).all()
    array = read("price", "[[1.5], [null], [100]]", 3)
    assert array.dtype == np.float64
    assert array[[0, 2]].tolist() == [[1.5], [100]]
    assert np.isnan(array[1])


class Melody(Record):
    """A record with a list of several lengths and one of a fixed length."""

    notes: list[int] = Field(min_length=0, max_length=4)
    chord: list[Annotated[float, Field(ge=-1, le=1)]] = Field(min_length=3, max_length=3)


MELODY = {name: Column(feature) for name, feature in features(Melody).items()}


@pytest.mark.parametrize("data", ["[7, 5, 3, 4, 0, 0]", "[[7, 5, 3], [4, 0, 0]]"])
def test_a_list_of_several_lengths_is_filled_with_zeros(data):
    assert MELODY["notes"].width([2, 3], 2) == 3
    assert MELODY["notes"].read(msgspec.Raw(data.encode()), 2, 3).tolist() == [[7, 5, 3], [4, 0, 0]]


@pytest.mark.parametrize("data", ["[]", "[[], []]"])
def test_lists_that_are_all_empty_are_a_column_of_zeros(data):
    assert MELODY["notes"].width([2, 0], 2) == 0
    assert MELODY["notes"].read(msgspec.Raw(data.encode()), 2, 0).tolist() == [[0], [0]]


BAD_LISTS = {
    "longer than any may be": ("notes", [1, 5], "[1, 2, 3, 4, 5]", "its shape must be [1, 0 to 4]"),
    "a shape without lengths": ("notes", [1], "[1]", "its shape must be [1, 0 to 4]"),
    "a shape of other rows": ("notes", [2, 1], "[1, 2]", "its shape must be [1, 0 to 4]"),
    "0 before a value": ("notes", [1, 3], "[1, 0, 3]", "0 fills a list at its end"),
    "more values than its shape says": ("notes", [1, 2], "[1, 2, 3]", "3 values, but its shape says 2"),
    "a longer row than its shape says": ("notes", [1, 2], "[[1, 2, 3]]", "3 values, but its shape says 2"),
    "a shorter row than its shape says": ("notes", [1, 2], "[[1]]", "a row has not 2 values"),
    "values where there are none": ("notes", [1, 0], "[1]", "1 values, but its shape says 0"),
    "a fixed length that is not kept": ("chord", [1, 2], "[0.1, 0.2]", "its shape must be [1, 3]"),
    "a value too large": ("chord", [1, 3], "[0, 0, 1.5]", "1.5 is too large"),
    "a value that is none": ("chord", [1, 3], "[0, null, 0]", "Expected `float`, got `null`"),
}


@pytest.mark.parametrize(("name", "shape", "data", "message"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_list_that_the_feature_may_not_have_is_refused(name, shape, data, message):
    with pytest.raises(ColumnError, match=re.escape(message)):
        MELODY[name].read(msgspec.Raw(data.encode()), 1, MELODY[name].width(shape, 1))


def test_in_a_list_of_fixed_length_zero_is_a_value():
    assert MELODY["chord"].read(msgspec.Raw(b"[0, 0.5, 0]"), 1, 3).tolist() == [[0, 0.5, 0]]


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 1000.0, 5e-324])
scalars = st.none() | st.booleans() | st.integers() | st.integers(-2, 1002) | numbers | st.floats(-0.1, 1.1)
words = st.text(max_size=5) | st.sampled_from(["red", "green", "warm, white", "true", "1"])
lists = st.just([]) | st.lists(scalars, min_size=2, max_size=3)  # in a list of its own, one value is a row
texts = (scalars | words | lists).map(json.dumps)
odd = st.sampled_from(["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "01", "1.", "+1", "1e2", "1E-2", '"\\ud800"'])


def is_decoded(name, value):
    """Whether a decoder takes a value that is made for the feature."""
    try:
        DECODERS[name].decode(f"[{value}]")
    except msgspec.DecodeError:
        return False
    return True


ENDS = [
    ("level", "0"),
    ("level", "1"),
    ("hours", "-1"),
    ("hours", "0"),
    ("hours", "1000"),
    ("price", "0"),
    ("price", "100"),
]


@given(st.sampled_from(list(LAMP)), texts | odd, st.integers(1, 3))
@settings(derandomize=True, max_examples=1000, deadline=None)
def test_it_takes_a_value_if_the_record_does(name, value, rows):
    check_value(name, value, rows)


@pytest.mark.parametrize(("name", "end"), ENDS)
@pytest.mark.parametrize("rows", [1, 2])
def test_it_takes_the_ends_of_a_range_if_the_record_does(name, end, rows):
    beside = (str(np.nextafter(float(end), way)) for way in (-np.inf, np.inf))
    for value in (end, f"{end}.0", *beside):
        check_value(name, value, rows)


def check_value(name, value, rows):
    fields = ", ".join(f'"{each}": {value if each == name else LAMP[each]}' for each in LAMP)
    try:
        Lamp.model_validate_json(f"{{{fields}}}")
        expected = True
    except ValidationError:
        expected = False
    if name == "turns" and expected and not -(2**63) <= json.loads(value) < 2**63:
        expected = False  # an INT64; at the v1 API, only a range in the record can say so
    else:
        assert is_decoded(name, value) == expected
    assert is_read(name, value, rows) == expected
