"""The released diagnosis: it agrees with scikit-learn, leans the way the field expects, and says what it is not."""

import itertools
from typing import get_args

import bentoml
import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.strategies import records

from slipway.cases.diagnosis import CASE, NOTICE, Opinion
from slipway.core.card import Metric
from slipway.core.model import MODEL_FILE, Model
from slipway.core.record import example
from slipway.training.data import load
from slipway.training.release import GateError, gate

WORDS = ["benign", "refer to a specialist", "malignant"]
EXAMPLE = example(CASE.record)


@pytest.fixture(scope="module")
def stored():
    return bentoml.models.get("diagnosis:latest")


@pytest.fixture(scope="module")
def model(stored):
    return Model.load(stored)


@pytest.fixture(scope="module")
def thresholds(stored):
    """The two that were released: constants of the graph."""
    constants = onnx.load(stored.path_of(MODEL_FILE)).graph.initializer
    (found,) = [onnx.numpy_helper.to_array(each) for each in constants if each.name == "thresholds"]
    return found.ravel()


@pytest.fixture(scope="module")
def trained():
    """The notebook's model, fitted again: by its seed, on the women that it develops with."""
    women = load("diagnosis")
    develop, _ = train_test_split(women, test_size=0.4, random_state=0, stratify=women["diagnosis"])
    scale = make_column_transformer((StandardScaler(), CASE.features))
    line = make_pipeline(scale, LogisticRegression(C=10, max_iter=5000))
    return line.fit(develop[CASE.features], develop["diagnosis"])


def ask(model, rows):
    """Probabilities and decisions, each of shape (n,), for dictionaries of features."""
    answer = model.predict([CASE.record.model_validate(row) for row in rows])
    return answer["probability"].ravel(), answer["prediction"].ravel()


@settings(max_examples=200, deadline=None)
@given(rows=records(CASE))
def test_it_agrees_with_scikit_learn_on_any_record(model, trained, thresholds, rows):
    probability, decision = ask(model, rows)
    expected = trained.predict_proba(pd.DataFrame(rows))[:, 1]
    np.testing.assert_allclose(probability, expected, rtol=1e-6, atol=1e-12)
    assert decision.tolist() == [WORDS[(p >= thresholds).sum()] for p in probability]


@pytest.mark.parametrize("feature", CASE.features)
def test_more_of_what_marks_malignant_nuclei_never_speaks_for_benign(model, feature):
    low, high = (limit for limit in ranges()[feature])
    probability, decision = ask(model, [EXAMPLE | {feature: value} for value in np.linspace(low, high, 50).tolist()])
    assert (np.diff(probability) >= 0).all()
    assert [word for word, _ in itertools.groupby(decision)] == [word for word in WORDS if word in decision]


def ranges():
    rules = CASE.record.model_json_schema()["properties"]
    return {name: (rule["minimum"], rule["maximum"]) for name, rule in rules.items()}


def test_the_ends_of_all_ranges_are_not_in_doubt(model):
    ends = [{name: limits[side] for name, limits in ranges().items()} for side in (0, 1)]
    assert ask(model, ends)[1].tolist() == ["benign", "malignant"]


def test_a_woman_gets_the_same_answer_alone_and_in_company(model):
    rows = load("diagnosis")[CASE.features].to_dict("records")
    together, decisions = ask(model, rows)
    alone = [ask(model, [row]) for row in rows[:50]]
    np.testing.assert_allclose(together[:50], [probability.item() for probability, _ in alone], rtol=1e-12)
    assert decisions[:50].tolist() == [decision.item() for _, decision in alone]


def test_few_of_all_malignant_tumours_are_called_benign_and_few_women_referred(model):
    women = load("diagnosis")
    _, decision = ask(model, women[CASE.features].to_dict("records"))
    share = pd.crosstab(women["diagnosis"], decision, normalize="index")
    assert share.loc["malignant", "benign"] < 0.03
    assert share.loc["benign", "malignant"] < 0.03
    assert 0 < np.mean(decision == "refer to a specialist") < 0.2


def test_every_answer_says_that_it_is_no_medical_device(model):
    records_ = [CASE.record.model_validate(EXAMPLE)] * 3
    answers = CASE.answers(model.predict(records_), model.card)
    assert [answer.notice for answer in answers] == [NOTICE] * 3
    assert "not a medical device" in NOTICE
    assert "not a medical device" in " ".join(CASE.record.__doc__.split())
    assert "not a medical device" in Opinion.__doc__


def test_a_probability_is_never_told_as_certain(model):
    ends = [{name: limits[side] for name, limits in ranges().items()} for side in (0, 1)]
    outputs = model.predict([CASE.record.model_validate(row) for row in ends])
    assert outputs["probability"].min() < 0.0005
    assert [answer.probability for answer in CASE.answers(outputs, model.card)] == [0.001, 0.999]


def test_its_words_are_those_of_its_schema(model):
    assert list(get_args(Opinion.model_fields["decision"].annotation)) == WORDS
    assert sorted(model.card.reference["prediction"].categories) == sorted(WORDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"worst_radius": 3.9}, "greater than or equal to 5"),  # a nucleus in micrometres
        ({"worst_radius": 162.0}, "less than or equal to 45"),
        ({"worst_concave_points": -0.01}, "greater than or equal to 0"),
        ({"radius_error": float("nan")}, "finite number"),
        ({"worst_texture": "25.7"}, "valid number"),
        ({"worst_symmetry": None}, "valid number"),
        ({"mean_radius": 14.0}, "Extra inputs are not permitted"),
    ],
)
def test_what_no_picture_of_the_data_could_give_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        CASE.record.model_validate(EXAMPLE | change)


@pytest.mark.parametrize(
    ("sensitivity", "referred", "message"),
    [(0.0, 0.0, "sensitivity is 0"), (1.0, 1.0, "referred is 1"), (0.9, 0.1, "sensitivity is 0.9")],
)
def test_the_gate_refuses_who_misses_and_who_refers_everyone(model, sensitivity, referred, message):
    shares = {"sensitivity": sensitivity, "referred": referred}
    poor = {name: Metric(value=value, low=value, high=value) for name, value in shares.items()}
    with pytest.raises(GateError, match=message):
        gate(CASE, model.card.metrics | poor)


def test_the_card_has_the_exact_interval_of_the_sensitivity(model):
    """That of Clopper and Pearson reaches below the share even where nobody was missed."""
    metric = model.card.metrics["sensitivity"]
    assert metric.low < metric.value <= metric.high <= 1
    assert metric.value - metric.low > 0.02  # 85 malignant tumours in the test
