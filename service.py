"""The BentoML service: the newest release of each case, behind one typed method a case.

A plain `bentoml serve` in this folder runs it, on the models of BentoML's own store.
"""

import bentoml

from slipway.cases import CASES
from slipway.cases.fruit import Fruit, Kind
from slipway.cases.house_price import House, Price
from slipway.serving.batch import Batch, Results
from slipway.serving.errors import ErrorShape
from slipway.serving.media import JSONBodies
from slipway.serving.models import Models, NewestRelease, releases
from slipway.serving.page import OpenAPIPage


@bentoml.service(
    name="slipway",
    http={"host": "127.0.0.1", "port": 3000},  # nothing listens beyond this machine unless BENTOML_HOST says so
    traffic={"timeout": 10, "max_concurrency": 256},
    # an access log line and a trace cost as much as the rest of a request; metrics and request ids remain
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": "/.*"},
)
class Slipway:
    """The models of the course *Python machine learning in practice*."""

    def __init__(self) -> None:
        self.models = Models(releases(Slipway))

    @bentoml.on_deployment
    def verify() -> None:
        """Runs once, before any worker: a model file that is not the one released ends the start with one line."""
        Models(releases(Slipway))

    @bentoml.api(route="/v1/house-price")
    async def house_price(self, request: Batch[House], /) -> Results[Price]:
        """What would these houses in Ames, Iowa, have sold for between 2006 and 2010?"""
        return self.models.answer("house_price", request)

    @bentoml.api(route="/v1/fruit")
    async def fruit(self, request: Batch[Fruit], /) -> Results[Kind]:
        """Which fruits are these?"""
        return self.models.answer("fruit", request)


Slipway.models.extend(NewestRelease(case) for case in CASES)
Slipway.add_asgi_middleware(ErrorShape)
Slipway.add_asgi_middleware(JSONBodies)
Slipway.add_asgi_middleware(OpenAPIPage, service=Slipway)
