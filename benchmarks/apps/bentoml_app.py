"""The house model behind BentoML: `bentoml serve bentoml_app:HousePrice`."""

import os
from pathlib import Path

import bentoml
import joblib
import pandas as pd
from pydantic import BaseModel

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/house_price.joblib")


class House(BaseModel):
    living_area: float
    lot_area: float
    basement_area: float
    bedrooms: int
    full_baths: int
    half_baths: int
    fireplaces: int
    garage_cars: int
    year_built: int
    year_remodelled: int
    dwelling: str
    condition: str
    neighborhood: str


class Prices(BaseModel):
    prices: list[float]


@bentoml.service
class HousePrice:
    def __init__(self) -> None:
        self.model = joblib.load(MODEL)

    @bentoml.api
    def predict(self, records: list[House]) -> Prices:
        frame = pd.DataFrame([house.model_dump() for house in records])
        return Prices(prices=self.model.predict(frame).tolist())
