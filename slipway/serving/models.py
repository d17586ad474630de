"""The models that one process of the service answers with."""

from collections.abc import Sequence
from typing import Any

import bentoml
from bentoml.exceptions import NotFound
from bentoml.models import BentoModel

from slipway.cases import CASES
from slipway.serving.batch import Batch, Results
from slipway.serving.case import Case
from slipway.serving.model import Model, ModelFileError


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


class Models:
    """A loaded, verified model for each case.

    Raises NotFound if a model is not in the store, ModelFileError if its files are not the ones that were released.
    """

    def __init__(self, releases: Sequence[BentoModel]) -> None:
        self._models = {release.tag.name: Model.load(release.resolve()) for release in releases}
        for name, model in self._models.items():
            check_case(CASES[name], model)

    def answer(self, case: str, batch: Batch[Any]) -> Results[Any]:
        """The results for the records of a batch, in their order, with the version of the model that gave them."""
        model = self._models[case]
        results = CASES[case].results(model.predict(batch.records), model.card)
        return Results(model=model.tag, results=list(results))
