"""The models that one process of the service answers with."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import bentoml
import numpy as np
from bentoml.models import BentoModel

from slipway.cases import CASES
from slipway.core import store
from slipway.core.card import Card
from slipway.core.case import Case, Outputs
from slipway.core.model import Model, ModelFileError, read_release
from slipway.serving.api.v1 import Batch, Results
from slipway.serving.observe.drift import Reference
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.observe.prediction_log import PredictionLog
from slipway.serving.settings import RELEASES, Settings


class NewestRelease(BentoModel):
    """The newest release of a case in the model store; `bentoml build` writes down which one that was."""

    def __init__(self, case: str) -> None:
        super().__init__(f"{case}:latest")

    @property
    def stored(self) -> bentoml.Model:
        """The entry of the store; no remote store is asked.

        Raises NotFound if the case was never released, ModelFileError if the entry is not whole.
        """
        return store.newest(self.tag.name)


def declare(service: Any) -> None:
    """Tell a BentoML service what it answers with: `bentoml build` writes that down, and `releases` reads it."""
    service.models.extend(NewestRelease(case) for case in CASES)


def releases(service: Any, settings: Settings) -> Iterator[bentoml.Model]:
    """What a service answers with: an entry of the model store for each case.

    That is the version which the settings name; for a case that they do not name the one that the Bento pins, or,
    outside a Bento, the newest. Raises NotFound if one is not there, ModelFileError for a case that does not exist.
    """
    pinned: Sequence[BentoModel] = (
        service.models if service.bento is None else [info.to_model() for info in service.bento.info.all_models]
    )
    names = [model.tag.name for model in pinned]
    if unknown := settings.releases.keys() - set(names):
        raise ModelFileError(f"{RELEASES}: there is no {min(unknown)}, but {', '.join(names)}")
    for model in pinned:
        version = settings.releases.get(model.tag.name)
        yield model.resolve() if version is None else store.named(model.tag.name, version)


def verify(service: Any, settings: Settings) -> None:
    """Runs once, before any worker: checks the releases, and lets the workers answer with the same ones.

    A worker that is started again later would find a newer release otherwise, and two versions would answer side by
    side. Raises NotFound or ModelFileError. No session is opened: that takes time and memory that a supervisor does not
    need.
    """
    tags = []
    for stored in releases(service, settings):
        card, _ = read_release(stored)
        check_case(CASES[stored.tag.name], str(stored.tag), card)
        tags.append(str(stored.tag))
    os.environ[RELEASES] = ",".join(tags)


def check_case(case: Case, tag: str, card: Card) -> None:
    """Raises ModelFileError if a model is another case's, or was released when its case had other features."""
    if card.case != case.name:
        raise ModelFileError(f"{tag} is a release of {card.case}, not of {case.name}.")
    features = [tensor.name for tensor in card.inputs]
    if features != case.features:
        difference = ", ".join(sorted(set(features) ^ set(case.features))) or "their order"
        raise ModelFileError(
            f"{tag} was released for other features ({difference}): `python -m slipway.training --again`."
        )


class Served:
    """One case and the model that answers it: both APIs ask it, and it counts what they answer."""

    def __init__(self, case: Case, model: Model, telemetry: Telemetry, settings: Settings) -> None:
        check_case(case, model.tag, model.card)
        self.case = case
        self.model = model
        self.reference = Reference(model.card)
        version = model.tag.partition(":")[2]
        self.predictions = telemetry.serve(case, version, self.reference)
        self.log = None
        if settings.prediction_log is not None:
            self.log = PredictionLog(case.name, version, model.card, settings.prediction_log, telemetry.lost_rows)

    def run(self, tensors: dict[str, np.ndarray]) -> Outputs:
        """The outputs for input arrays of shape (n, 1), which are within the ranges of the case's record."""
        outputs = self.model.run(tensors)
        self.count(tensors, outputs)
        return outputs

    def count(self, tensors: Mapping[str, np.ndarray], outputs: Outputs) -> None:
        """Count records that are answered, with what was asked and answered, and log them."""
        self.predictions.answered(len(outputs["prediction"]))
        self.reference.count(tensors, outputs)
        if self.log is not None:
            self.log.write(tensors, outputs)

    def answer(self, batch: Batch[Any]) -> Results[Any]:
        """The results for the records of a batch, in their order, with the version of the model that gave them."""
        tensors = self.model.tensors(batch.records)
        outputs = self.model.run(tensors)
        answers = self.case.answers(outputs, self.model.card)
        results: Results[Any] = Results.model_construct(model=self.model.tag, results=answers)
        self.count(tensors, outputs)  # last: what fails before is no answer
        return results


class Models:
    """A loaded, verified model for each case, by the case's name."""

    def __init__(self, served: Mapping[str, Served]) -> None:
        self.served = served

    @classmethod
    def load(cls, service: Any, telemetry: Telemetry, settings: Settings) -> Self:
        """The models that a BentoML service answers with.

        Raises NotFound if one is not in the store, ModelFileError if its files are not the ones that were released.
        """
        loaded = {stored.tag.name: Model.load(stored) for stored in releases(service, settings)}
        return cls({name: Served(CASES[name], model, telemetry, settings) for name, model in loaded.items()})

    def answer(self, case: str, batch: Batch[Any]) -> Results[Any]:
        """The results for the records of a batch."""
        return self.served[case].answer(batch)
