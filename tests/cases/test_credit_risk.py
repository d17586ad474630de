"""The released scorecard decides as the training library would, gives true reasons, and knows no age."""

import bentoml
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from slipway.cases.credit_risk import CASE, FACTORS, MAY_BE_UNKNOWN, Applicant
from slipway.core.feature import features
from slipway.core.model import Model
from slipway.core.record import example
from slipway.training.data import load

EXAMPLE = example(Applicant)
WORDS = ["home", "records", "job"]


@pytest.fixture(scope="module")
def model():
    return Model.load(bentoml.models.get("credit_risk:latest"))


@pytest.fixture(scope="module")
def scorecard():
    """The scorecard of the notebook, fitted again."""
    people = load("credit_risk").drop_duplicates()
    rest, _ = train_test_split(people, test_size=0.25, random_state=0, stratify=people["status"])
    train, _ = train_test_split(rest, test_size=0.25, random_state=0, stratify=rest["status"])
    log = FunctionTransformer(np.log1p, feature_names_out="one-to-one")
    numbers = make_pipeline(log, SimpleImputer(strategy="mean", add_indicator=True))
    columns = make_column_transformer(
        (numbers, [name for name in CASE.features if name not in WORDS]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), WORDS),
    )
    steps = make_pipeline(columns, StandardScaler(), LogisticRegression(max_iter=1000))
    return steps.fit(train[CASE.features], train["status"] == "bad")


def applicant(**changes):
    return Applicant.model_validate(EXAMPLE | changes)


def at_random(rng):
    """A valid applicant, from anywhere in the ranges; a number that may be unknown is so in a third of them."""
    values = {}
    for name, feature in features(Applicant).items():
        rule = feature.rule
        if "enum" in rule:
            values[name] = str(rng.choice(rule["enum"]))
        elif feature.is_nullable and rng.random() < 1 / 3:
            values[name] = None
        elif rule["type"] == "integer":
            values[name] = int(rng.integers(rule["minimum"], rule["maximum"], endpoint=True))
        else:
            values[name] = float(rng.uniform(rule["minimum"], rule["maximum"]))
    return Applicant(**values)


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(0)
    return [at_random(rng) for _ in range(500)]


def log_odds(model, *applicants):
    probability = model.predict(applicants)["probability"].ravel()
    return np.log(probability / (1 - probability))


def answers(model, *applicants):
    return CASE.answers(model.predict(applicants), model.card)


def test_it_gives_the_probabilities_of_the_training_library(model, scorecard, crowd):
    frame = pd.DataFrame([each.model_dump() for each in crowd]).astype(dict.fromkeys(MAY_BE_UNKNOWN, float))
    theirs = scorecard.predict_proba(frame[CASE.features])[:, 1]
    assert np.allclose(model.predict(crowd)["probability"].ravel(), theirs, atol=1e-9)


def test_the_contributions_and_one_base_add_up_to_the_log_odds(model, crowd):
    contributions = model.predict(crowd)["contributions"]
    assert contributions.shape == (len(crowd), len(FACTORS))
    base = log_odds(model, *crowd) - contributions.sum(axis=1)
    assert np.ptp(base) < 1e-6


def test_a_contribution_depends_on_its_own_feature_alone(model):
    before, after = model.predict([applicant(), applicant(job="permanent")])["contributions"]
    assert np.flatnonzero(before != after).tolist() == [FACTORS.index("job")]


def test_one_threshold_parts_those_accepted_from_those_declined(model, crowd):
    outputs = model.predict(crowd)
    probability, is_declined = outputs["probability"], outputs["prediction"] == "decline"
    assert set(outputs["prediction"].ravel()) == {"accept", "decline"}
    assert probability[~is_declined].max() < probability[is_declined].min()


def test_the_reasons_are_the_largest_contributions_towards_default(model, crowd):
    for contributions, result in zip(model.predict(crowd)["contributions"], answers(model, *crowd), strict=True):
        largest = sorted((part for part in contributions if part > 0.005), reverse=True)[:4]
        assert [reason.contribution for reason in result.reasons] == pytest.approx(largest, abs=0.005)


def test_whoever_is_declined_gets_a_reason(model, crowd):
    assert all(result.reasons for result in answers(model, *crowd) if result.decision == "decline")


def test_a_reason_names_the_feature_that_it_comes_from(model):
    (result,) = answers(model, applicant(records="yes", job="permanent", job_years=30, amount=200))
    assert result.reasons[0].feature == "records"
    assert result.reasons[0].text == "entries on earlier credit"


@pytest.mark.parametrize("name", MAY_BE_UNKNOWN)
def test_what_is_not_known_is_never_called_low_or_high(model, crowd, name):
    silent = [each for each in crowd if getattr(each, name) is None]
    outputs = model.predict(silent)
    filled_in = FACTORS.index(name)
    assert np.allclose(outputs["contributions"][:, filled_in], 0, atol=1e-9)
    texts = {reason.text for result in CASE.answers(outputs, model.card) for reason in result.reasons}
    assert {text for text in texts if text.startswith(f"{name}:")} <= {f"{name}: not known"}


def test_an_applicant_without_an_income_is_told_so(model):
    (result,) = answers(model, applicant(income=None))
    assert "income: not known" in [reason.text for reason in result.reasons]


@pytest.mark.parametrize(
    ("name", "safer", "riskier"),
    [
        ("income", 300, 60),
        ("assets", 10_000, 0),
        ("debt", 0, 5000),
        ("job_years", 20, 0),
        ("amount", 500, 1400),
        ("price", 4000, 1100),
        ("records", "no", "yes"),
        ("job", "permanent", "temporary"),
        ("home", "owner", "rent"),
    ],
)
def test_it_ranks_as_a_lender_would(model, name, safer, riskier):
    low, high = log_odds(model, applicant(**{name: safer}), applicant(**{name: riskier}))
    assert low < high


@pytest.mark.parametrize("name", ["income", "amount", "job_years"])
def test_more_of_a_number_always_moves_the_score_the_same_way(model, name):
    rule = features(Applicant)[name].rule
    steps = np.linspace(rule["minimum"], rule["maximum"], 40).round().astype(int).tolist()
    moves = np.sign(np.diff(log_odds(model, *(applicant(**{name: step}) for step in sorted(set(steps))))))
    assert len(set(moves)) == 1


@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_at_the_ends_of_the_ranges_it_still_gives_a_probability(model, end):
    numbers = {name: each.rule[end] for name, each in features(Applicant).items() if end in each.rule}
    (result,) = answers(model, applicant(**numbers))
    assert 0 <= result.probability <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {"age": 30},
        {"marital": "single"},
        {"income": 0},  # the data hold none: whoever has none, or does not say, sends null
        {"income": "110"},
        {"income": float("nan")},
        {"amount": None},
        {"amount": 5001},
        {"term_months": 36.5},
        {"job_years": -1},
        {"records": True},
        {"home": "castle"},
        {"job": None},
    ],
    ids=str,
)
def test_what_is_no_applicant_is_refused(changes):
    with pytest.raises(ValidationError):
        applicant(**changes)


@pytest.mark.parametrize("name", CASE.features)
def test_nothing_is_taken_for_granted(name):
    with pytest.raises(ValidationError, match="Field required"):
        Applicant.model_validate({key: value for key, value in EXAMPLE.items() if key != name})


def test_age_and_marital_status_are_in_the_data_and_not_in_the_model(model):
    assert {"age", "marital"} <= set(CASE.row.model_fields)
    assert not {"age", "marital"} & {tensor.name for tensor in model.card.inputs}
