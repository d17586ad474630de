"""The BentoML service: the newest release of each case, behind one typed method a case and the Open Inference Protocol.

A plain `bentoml serve` in this folder runs it, on the models of BentoML's own store.
"""

import bentoml
from bentoml.exceptions import BentoMLException

from slipway.cases.credit_risk import Applicant, Risk
from slipway.cases.diagnosis import Aspirate, Opinion
from slipway.cases.driving import Decision, Scene
from slipway.cases.fruit import Fruit, Kind
from slipway.cases.house_price import House, Price
from slipway.cases.recommendation import TopTen, Viewer
from slipway.cases.speech import Digit, Sound
from slipway.serving import models, process
from slipway.serving.api.v1 import Batch, Results
from slipway.serving.application import guard
from slipway.serving.http.limits import RESPONSE_TIMEOUT
from slipway.serving.models import Models
from slipway.serving.process import Worker
from slipway.serving.settings import Settings, check_bentoml


@bentoml.service(  # type: ignore[operator] # a function, and mypy finds the module of the same name
    name="slipway",
    http={"host": "127.0.0.1", "port": 3000},  # nothing listens beyond this machine unless BENTOML_HOST says so
    # What a request costs beside its answer: BentoML's access log, traces and request metrics take twice as long as the
    # rest of it. What goes wrong stands in our log, and `slipway.serving.observe.metrics` has our metrics.
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": "/.*"},
    metrics={"enabled": False},
    traffic={"timeout": RESPONSE_TIMEOUT},
)
class Slipway:
    """The models of the course *Python machine learning in practice*."""

    def __init__(self) -> None:
        try:
            self.settings = Settings.read()
            self.telemetry = process.telemetry(Slipway)
            self.models = Models.load(Slipway, self.telemetry, self.settings)
        except BentoMLException as error:
            process.give_up(error)
        self.worker = Worker(self.telemetry, self.settings.drain_seconds)

    @bentoml.on_deployment
    def verify() -> None:
        """Runs once, before any worker: what cannot be served ends the start with one line."""
        check_bentoml(Slipway)
        models.verify(Slipway, Settings.read())
        process.supervise()

    @bentoml.on_startup
    async def start(self) -> None:
        """Runs in each worker, once its models are loaded."""
        await self.worker.start()

    async def __is_ready__(self) -> bool:
        return self.worker.is_ready

    @bentoml.api(route="/v1/house-price")
    async def house_price(self, request: Batch[House], /) -> Results[Price]:
        """What would these houses in Ames, Iowa, have sold for between 2006 and 2010?"""
        return self.models.answer("house_price", request)

    @bentoml.api(route="/v1/fruit")
    async def fruit(self, request: Batch[Fruit], /) -> Results[Kind]:
        """Which fruits are these?"""
        return self.models.answer("fruit", request)

    @bentoml.api(route="/v1/credit-risk")
    async def credit_risk(self, request: Batch[Applicant], /) -> Results[Risk]:
        """Will these applicants repay, may they have the loan, and what speaks against them?"""
        return self.models.answer("credit_risk", request)

    @bentoml.api(route="/v1/recommendation")
    async def recommendation(self, request: Batch[Viewer], /) -> Results[TopTen]:
        """What should these people watch tonight?"""
        return self.models.answer("recommendation", request)

    @bentoml.api(route="/v1/diagnosis")
    async def diagnosis(self, request: Batch[Aspirate], /) -> Results[Opinion]:
        """Are these breast lumps malignant, by the nuclei of their cells? For teaching only: not a medical device."""
        return self.models.answer("diagnosis", request)

    @bentoml.api(route="/v1/spoken-digit")
    async def speech(self, request: Batch[Sound], /) -> Results[Digit]:
        """Which digit did somebody say?"""
        return self.models.answer("speech", request)

    @bentoml.api(route="/v1/driving")
    async def driving(self, request: Batch[Scene], /) -> Results[Decision]:
        """What should these cars do next? In a simulator."""
        return self.models.answer("driving", request)


models.declare(Slipway)
guard(Slipway)
