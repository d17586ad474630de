"""A released model answers as it was released, or does not load."""

import shutil

import bentoml
import numpy as np
import pandas as pd
import pytest

from slipway.cases import CASES
from slipway.core.model import CARD_FILE, DTYPES, MODEL_FILE, Model, ModelFileError, as_array
from slipway.core.record import example


@pytest.fixture
def stored(tmp_path):
    """A release of the fruit case, copied to a store that a test may spoil."""
    release = bentoml.models.get("fruit:latest")
    shutil.copytree(release.path, tmp_path / "fruit")

    class Copy:
        tag = release.tag
        path = tmp_path / "fruit"

        def path_of(self, name):
            return str(self.path / name)

    return Copy()


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_it_predicts_for_records(case):
    model = Model.load(bentoml.models.get(f"{case.name}:latest"))
    record = case.record.model_validate(example(case.record))
    one, two = model.predict([record]), model.predict([record, record])
    for name, array in one.items():
        twice = pd.DataFrame(np.concatenate([array, array]))
        pd.testing.assert_frame_equal(pd.DataFrame(two[name]), twice)  # to the last digits, not beyond


def test_what_is_not_known_becomes_nan():
    array = as_array([1.5, None], "FP64")
    assert array.shape == (2, 1)
    assert np.isnan(array).tolist() == [[False], [True]]


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
@pytest.mark.parametrize(
    ("value", "datatype"),
    [(0.1, "FP64"), (3, "FP64"), (-0.0, "FP64"), (None, "FP64"), (-3, "INT64"), (True, "BOOL"), ("grün", "BYTES")],
)
def test_an_array_is_the_one_that_numpy_makes_of_so_many_values(value, datatype, count):
    found = as_array([value] * count, datatype)
    expected = np.array([value] * count, DTYPES[datatype]).reshape(count, 1)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)
    assert repr(found.tolist()) == repr(expected.tolist())  # with its sign


@pytest.mark.parametrize("count", [1, 2])
def test_a_number_that_fits_into_no_tensor_raises(count):
    with pytest.raises(OverflowError):
        as_array([1 << 63] * count, "INT64")


def test_lists_are_filled_with_zeros_to_the_longest():
    assert as_array([[7, 5], [], [3]], "INT64").tolist() == [[7, 5], [0, 0], [3, 0]]
    assert as_array([[], []], "FP64").tolist() == [[0], [0]]  # one column at least: there is no model of nothing
    assert as_array([[0.5, 0.0]], "FP64").tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize("position", [0, 0.3, 0.9])
def test_one_flipped_bit_keeps_it_from_loading(stored, position):
    path = stored.path / MODEL_FILE
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not the file that was released"):
        Model.load(stored)


def test_a_truncated_file_does_not_load(stored):
    path = stored.path / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="not the file that was released"):
        Model.load(stored)


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE])
def test_a_missing_file_is_named(stored, name):
    (stored.path / name).unlink()
    with pytest.raises(ModelFileError, match=f"cannot be read.*{name}"):
        Model.load(stored)


def test_a_card_with_an_unknown_field_is_refused(stored):
    path = stored.path / CARD_FILE
    path.write_text(path.read_text().replace("{", '{"surprise": 1,', 1))
    with pytest.raises(ModelFileError, match=CARD_FILE):
        Model.load(stored)


def test_the_card_says_what_the_service_and_its_monitors_need():
    card = Model.load(bentoml.models.get("house_price:latest")).card
    assert [tensor.name for tensor in card.inputs] == CASES["house_price"].features
    assert {"mae", "r2", "coverage"} <= set(card.metrics)
    assert card.metrics["mae"].low < card.metrics["mae"].value < card.metrics["mae"].high
    totals = {name: sum(histogram.counts) for name, histogram in card.reference.items()}
    assert set(totals) == {*CASES["house_price"].features, "prediction"}
    assert len(set(totals.values())) == 1  # every training row is in one bin of every feature
