"""One model behind BentoML as it is: the methods of `service.py`, and nothing of ours in front of them."""

import bentoml

from slipway.cases.fruit import Fruit, Kind
from slipway.cases.house_price import House, Price
from slipway.serving.api.v1 import Batch, Results
from slipway.serving.models import Models, NewestRelease
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.settings import Settings

RELEASES = [NewestRelease("fruit"), NewestRelease("house_price")]


@bentoml.service(metrics={"enabled": False})
class Plain:
    """The v1 API alone."""

    def __init__(self) -> None:
        self.loaded = Models.load(Plain, Telemetry(), Settings())

    @bentoml.api(route="/v1/house-price")
    async def house_price(self, request: Batch[House], /) -> Results[Price]:
        """A price."""
        return self.loaded.answer("house_price", request)

    @bentoml.api(route="/v1/fruit")
    async def fruit(self, request: Batch[Fruit], /) -> Results[Kind]:
        """A kind."""
        return self.loaded.answer("fruit", request)


Plain.models.extend(RELEASES)
