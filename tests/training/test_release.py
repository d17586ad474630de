"""A release is complete, or nothing is stored."""

import hashlib

import bentoml
import numpy as np
import pandas as pd
import pytest
from pydantic import Field
from sklearn.compose import make_column_transformer
from sklearn.metrics import accuracy_score, mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from support.stores import model_store

from slipway.cases import CASES
from slipway.core.card import Metric
from slipway.core.case import Case
from slipway.core.model import Model
from slipway.core.record import Record
from slipway.training import conversion
from slipway.training.__main__ import is_released
from slipway.training.conversion import ParityError
from slipway.training.data import checksums, load
from slipway.training.release import GateError, bootstrap, gate, histogram, reference, release

FRUIT = CASES["fruit"]
GOOD = {"accuracy": Metric(value=0.95, low=0.9, high=0.98)}
POOR = {"accuracy": Metric(value=0.5, low=0.4, high=0.6)}


@pytest.fixture
def basket():
    return load("fruit")


@pytest.fixture
def model(basket):
    words = make_column_transformer((OneHotEncoder(sparse_output=False), ["colour"]), remainder="passthrough")
    return make_pipeline(words, DecisionTreeClassifier(max_depth=2, random_state=0)).fit(
        basket[FRUIT.features], basket["fruit"]
    )


def versions():
    return {str(stored.tag) for stored in bentoml.models.list("fruit")}


def test_a_model_below_its_gate_is_not_stored(model, basket):
    before = versions()
    with pytest.raises(GateError, match=r"fruit is not released: accuracy is 0.5, must be at least 0.88"):
        release(FRUIT, model, basket, train=basket, metrics=POOR)
    assert versions() == before


def test_nor_is_one_whose_graph_answers_otherwise(model, basket, monkeypatch):
    before = versions()
    honest = conversion.expected
    monkeypatch.setattr(
        conversion, "expected", lambda model, X: honest(model, X) | {"prediction": np.array(["kiwi"] * len(X))}
    )
    with pytest.raises(ParityError, match="from scikit-learn"):
        release(FRUIT, model, basket, train=basket, metrics=GOOD)
    assert versions() == before


def card_of(stored):
    return Model.load(stored).card


def test_the_card_states_the_checksum_of_the_data_given(model, basket, tmp_path):
    heavy = basket[basket["weight"] > 100]
    written = hashlib.sha256(heavy.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    with model_store(tmp_path / "models"):
        own = release(FRUIT, model, heavy, train=heavy, metrics=GOOD)
        assert card_of(own).data_sha256 == written
        assert own.info.labels == {"case": "fruit", "data": written[:12]}
        assert not is_released(FRUIT)

        ours = release(FRUIT, model, basket.assign(volume=1.0), train=heavy, metrics=GOOD)
        assert card_of(ours).data_sha256 == checksums()["fruit.csv"]
        assert is_released(FRUIT)

        named = release(FRUIT, model, heavy, train=heavy, metrics=GOOD, source=basket)
        assert card_of(named).data_sha256 == checksums()["fruit.csv"]

        release(FRUIT, model, heavy, train=heavy, metrics=GOOD)
        assert is_released(FRUIT)  # whoever retrains on other data does not want `make models` to train it back


def test_a_metric_that_was_not_measured_does_not_pass():
    with pytest.raises(GateError, match="coverage was not measured"):
        gate(CASES["house_price"], {"mae": Metric(value=1, low=1, high=1), "r2": Metric(value=1, low=1, high=1)})


def test_nan_does_not_pass():
    with pytest.raises(GateError, match="accuracy is nan"):
        gate(FRUIT, {"accuracy": Metric(value=float("nan"), low=0, high=1)})


def test_a_metric_on_its_bound_passes():
    gate(FRUIT, {"accuracy": Metric(value=0.88, low=0.8, high=0.9)})


def test_the_bootstrap_contains_the_metric_and_narrows_with_the_rows():
    rng = np.random.default_rng(1)
    few, many = (rng.normal(size=(2, n)) for n in (50, 5000))
    wide, narrow = bootstrap(mean_absolute_error, *few), bootstrap(mean_absolute_error, *many)
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    assert bootstrap(mean_absolute_error, *few) == wide  # seeded


def test_the_bootstrap_of_a_share_agrees_with_theory():
    truth, answer = np.zeros(2000), np.arange(2000) % 5 == 0
    metric = bootstrap(accuracy_score, truth, answer)
    assert (metric.high - metric.low) / 2 == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 2000), rel=0.15)


def test_a_histogram_of_numbers_has_equal_shares():
    bins = histogram(pd.Series(np.arange(1000.0)))
    assert len(bins.edges) == 9
    assert bins.counts == [100] * 10


def test_a_histogram_of_counts_has_a_bin_for_each():
    bins = histogram(pd.Series([0, 0, 1, 2, 2, 2]))
    assert bins.edges == [0.5, 1.5]
    assert bins.counts == [2, 1, 3]


def test_a_histogram_of_words_has_a_bin_for_each():
    bins = histogram(pd.Series(["b", "a", "b"]))
    assert bins.categories == ["a", "b"]
    assert bins.counts == [1, 2]


def test_a_histogram_counts_what_is_missing_by_itself():
    bins = histogram(pd.Series([1.0, np.nan, 2.0, 2.0, np.nan]))
    assert bins.counts == [1, 2]
    assert bins.missing == 2


def test_the_reference_of_lists_is_that_of_their_values():
    class Shopper(Record):
        bought: list[int] = Field(min_length=0, max_length=9)
        taste: list[float] = Field(min_length=2, max_length=2)
        income: float | None

    case = Case("shop", Shopper, Shopper, "income", Shopper, lambda *_: {}, {})
    train = pd.DataFrame({"bought": [[5, 5], [], [7]], "taste": [[0.0, 1.0]] * 3, "income": [1.0, np.nan, 3.0]})
    found = reference(case, lambda X: {"prediction": np.ones((len(X), 2))}, train)
    assert (found["bought"].counts, found["bought"].is_padded) == ([2, 1], True)
    assert (found["taste"].counts, found["taste"].is_padded) == ([3, 3], False)
    assert (found["income"].counts, found["income"].missing) == ([1, 1], 1)
    assert found["prediction"].counts == [6]


def test_a_value_on_an_edge_lies_above_it():
    bins = histogram(pd.Series([1.0] * 50 + list(range(50))))
    edges = np.array(bins.edges)
    again = np.bincount(np.searchsorted(edges, edges, side="right"), minlength=len(edges) + 1)
    assert again.tolist() == [0] + [1] * len(edges)
