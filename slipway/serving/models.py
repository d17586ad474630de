"""The models that one process of the service answers with."""

from collections.abc import Sequence
from typing import Any

import bentoml
import numpy as np
from bentoml.exceptions import NotFound
from bentoml.models import BentoModel

from slipway.cases import CASES
from slipway.core.case import Case, Outputs
from slipway.core.model import Model, ModelFileError
from slipway.serving.api.v1 import Batch, Results
from slipway.serving.observe import prediction_log
from slipway.serving.observe.drift import Reference
from slipway.serving.observe.metrics import Predictions
from slipway.serving.observe.prediction_log import PredictionLog


class NewestRelease(BentoModel):  # type: ignore[misc]
    """The newest release of a case in the model store; `bentoml build` writes down which one that was."""

    def __init__(self, case: str) -> None:
        super().__init__(f"{case}:latest")

    def resolve(self, base_path: Any = None) -> bentoml.Model:
        """The entry of the store. Raises NotFound if the case was never released; no remote store is asked."""
        if self.stored is None:
            raise NotFound(f"the model store holds no {self.tag.name}. `make models` releases one.")
        stored: bentoml.Model = super().resolve(base_path)
        return stored


def releases(service: Any) -> Sequence[BentoModel]:
    """What a service answers with: the versions that its Bento pins, or, outside a Bento, the newest ones."""
    if service.bento is None:
        return list(service.models)
    return [info.to_model() for info in service.bento.info.all_models]


def check_case(case: Case, model: Model) -> None:
    """Raises ModelFileError if a model is another case's, or was released when its case had other features."""
    if model.card.case != case.name:
        raise ModelFileError(f"{model.tag} is a release of {model.card.case}, not of {case.name}.")
    features = [tensor.name for tensor in model.card.inputs]
    if features != case.features:
        difference = ", ".join(sorted(set(features) ^ set(case.features))) or "their order"
        raise ModelFileError(
            f"{model.tag} was released for other features ({difference}): `python -m slipway.training --again`."
        )


class Served:
    """One case and the model that answers it: what both doors ask, and where what they answer is counted."""

    def __init__(self, case: Case, model: Model) -> None:
        check_case(case, model)
        self.case = case
        self.model = model
        self.reference = Reference(model.card)
        version = model.tag.partition(":")[2]
        self.predictions = Predictions(case.name, version, self.reference)
        folder = prediction_log.folder()
        self.log = None if folder is None else PredictionLog(case.name, version, model.card, folder)

    def run(self, tensors: dict[str, np.ndarray]) -> Outputs:
        """The outputs for input arrays of shape (n, 1), which are within the ranges of the case's record."""
        outputs = self.model.run(tensors)
        self.predictions.answered += len(outputs["prediction"])
        self.reference.count(tensors, outputs)
        if self.log is not None:
            self.log.write(tensors, outputs)
        return outputs

    def answer(self, batch: Batch[Any]) -> Results[Any]:
        """The results for the records of a batch, in their order, with the version of the model that gave them."""
        outputs = self.run(self.model.tensors(batch.records))
        answers = self.case.answers(outputs, self.model.card)
        results: Results[Any] = Results.model_construct(model=self.model.tag, results=answers)
        return results


class Models:
    """A loaded, verified model for each case.

    Raises NotFound if a model is not in the store, ModelFileError if its files are not the ones that were released.
    """

    def __init__(self, releases: Sequence[BentoModel]) -> None:
        loaded = {release.tag.name: Model.load(release.resolve()) for release in releases}
        self.served = {name: Served(CASES[name], model) for name, model in loaded.items()}

    def answer(self, case: str, batch: Batch[Any]) -> Results[Any]:
        """The results for the records of a batch."""
        return self.served[case].answer(batch)
