"""Each value that is served falls into one bin of its feature's reference, one by one as in columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.card import Card, Histogram
from slipway.serving.observe.drift import MISSING, OUT_OF_REFERENCE, Bins, Reference

AREAS = Histogram(edges=[900, 1200, 2000], low=300, high=3900, counts=[10, 20, 30, 40])
COLOURS = Histogram(categories=["green", "red"], counts=[5, 15])


def counted(histogram, *values, dtype=None):
    bins = Bins(histogram)
    bins.count(np.array(values, dtype=dtype).reshape(-1, 1))
    return {name: count for name, count in zip(bins.names, bins.take(), strict=True) if count}


def test_bins_have_names_that_a_person_can_read():
    assert Bins(AREAS).names == ["below 900", "900 to 1200", "1200 to 2000", "2000 and more", MISSING, OUT_OF_REFERENCE]
    assert Bins(COLOURS).names == ["green", "red", MISSING, OUT_OF_REFERENCE]


def test_a_number_on_an_edge_belongs_to_the_bin_that_begins_there():
    assert counted(AREAS, 899.9, 900.0, 1199.9, 1200.0) == {"below 900": 1, "900 to 1200": 2, "1200 to 2000": 1}


def test_what_the_training_split_did_not_have_is_out_of_reference():
    assert counted(AREAS, 299.0, 300.0, 3900.0, 3901.0) == {"below 900": 1, "2000 and more": 1, OUT_OF_REFERENCE: 2}
    assert counted(COLOURS, "red", "blue", dtype=object) == {"red": 1, OUT_OF_REFERENCE: 1}


@pytest.mark.parametrize("values", [[np.nan], [np.nan, 1000.0]])
def test_nan_is_missing(values):
    assert counted(AREAS, *values)[MISSING] == 1


@pytest.mark.parametrize("value", [None, ""])
def test_no_word_is_missing(value):
    assert counted(COLOURS, value, "red", dtype=object) == {MISSING: 1, "red": 1}


def test_the_reference_s_shares_add_up_to_one_and_none_is_zero():
    shares = dict(zip(Bins(AREAS).names, Bins(AREAS).shares, strict=True))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["2000 and more"] == pytest.approx(40.5 / 103)  # half an observation in each of six bins
    assert shares[MISSING] == pytest.approx(0.5 / 103)


def test_what_was_missing_in_training_is_expected_to_be_missing():
    bins = Bins(AREAS.model_copy(update={"missing": 25}))
    assert dict(zip(bins.names, bins.shares, strict=True))[MISSING] == pytest.approx(25.5 / 128)


def test_the_zeros_that_fill_a_list_are_not_counted():
    lists = Histogram(edges=[3], low=1, high=5, counts=[4, 4], is_padded=True)
    assert counted(lists, 1, 5, 0, 0) == {"below 3": 1, "3 and more": 1}
    assert counted(lists, 0) == {}
    reference = Reference(Card.model_construct(reference={"stars": lists}))
    for array in ([[0.0]], [[4.0]], [[4.0, 0.0], [1.0, 2.0]]):
        reference.count({"stars": np.array(array)})
    assert reference.bins["stars"].take() == [2, 2, 0, 0]


def test_counts_are_taken_once():
    bins = Bins(COLOURS)
    bins.count(np.array(["red"], dtype=object))
    assert sum(bins.take()) == 1
    assert sum(bins.take()) == 0


@st.composite
def histograms(draw):
    """Any edges, with a range that may be open, or narrower than they are."""
    edges = sorted(draw(st.lists(numbers, max_size=5)))
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    is_open = draw(st.booleans())
    return Histogram(
        edges=edges, low=None if is_open else low, high=None if is_open else high, counts=[1] * (len(edges) + 1)
    )


whole = st.integers(-3, 3) | st.integers(-(2**53), 2**53)
numbers = whole.map(float) | st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(numbers | st.floats(), min_size=2).map(np.array) | st.lists(whole, min_size=2).map(np.array)


@given(histograms(), st.lists(columns, max_size=3))
def test_the_columns_of_several_requests_count_as_their_values_one_by_one(histogram, columns):
    together, alone = Bins(histogram), Bins(histogram)
    for column in columns:
        together.count(column.reshape(-1, 1))
        for value in column.tolist():
            alone.count_one(value)
    counts = together.take()
    assert counts == alone.take()
    assert sum(counts) == sum(column.size for column in columns)
    assert sum(together.take()) == 0


def test_a_release_without_a_range_has_open_ends():
    """As cards were written before the range was on them."""
    older = AREAS.model_copy(update={"low": None, "high": None})
    assert counted(older, -1.0, 1e9) == {"below 900": 1, "2000 and more": 1}
