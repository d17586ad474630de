"""The service takes the models that belong to its cases, and says why it refuses another."""

import re
from dataclasses import replace

import bentoml
import pytest
from support.inprocess import load_models

from service import Slipway
from slipway.cases import CASES
from slipway.core.model import Model, ModelFileError
from slipway.core.record import example
from slipway.serving.api.v1 import Batch
from slipway.serving.models import Models, NewestRelease, check_case
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.settings import Settings


@pytest.fixture
def fruit():
    return Model.load(bentoml.models.get("fruit:latest"))


def test_it_answers_each_case_with_its_newest_release():
    models = load_models()
    for name, case in CASES.items():
        batch = Batch[case.record].model_validate({"records": [example(case.record)] * 3})
        answer = models.answer(name, batch)
        assert re.fullmatch(rf"{name}:\w+", answer.model)
        assert len(answer.results) == 3


def test_a_model_of_another_case_is_refused(fruit):
    with pytest.raises(ModelFileError, match="is a release of fruit, not of house_price"):
        check_case(CASES["house_price"], fruit.tag, fruit.card)


def test_a_model_released_for_other_features_is_refused_with_their_names(fruit):
    card = fruit.card.model_copy(update={"inputs": fruit.card.inputs[1:]})
    with pytest.raises(ModelFileError, match=r"released for other features \(weight\).*--again"):
        check_case(CASES["fruit"], fruit.tag, card)


def test_a_case_without_a_release_says_how_to_make_one():
    with pytest.raises(Exception, match=r"the model store holds no unicorn.*make models"):
        NewestRelease("unicorn").resolve()


def test_records_whose_results_fail_are_not_counted_as_answered(monkeypatch):
    telemetry = Telemetry()
    models = Models.load(Slipway, telemetry, Settings())
    case = CASES["fruit"]
    batch = Batch[case.record].model_validate({"records": [example(case.record)]})

    def fails(outputs, card):
        raise KeyError("a bug")

    served = models.served["fruit"]
    monkeypatch.setattr(served, "case", replace(case, results=fails))
    with pytest.raises(KeyError):
        models.answer("fruit", batch)
    telemetry.flush()
    lines = telemetry.text().decode().splitlines()
    (answered,) = (
        line for line in lines if line.startswith('slipway_predictions_total{case="fruit",outcome="answered"')
    )
    assert answered.endswith(" 0.0")
    monkeypatch.setattr(served, "case", case)
    models.answer("fruit", batch)
    telemetry.flush()
    assert any(
        line.startswith(answered[:-4]) and line.endswith(" 1.0") for line in telemetry.text().decode().splitlines()
    )
