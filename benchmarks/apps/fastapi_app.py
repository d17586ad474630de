"""The house model behind FastAPI: `uvicorn fastapi_app:app`."""

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
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


class Houses(BaseModel):
    records: list[House]


class Prices(BaseModel):
    prices: list[float]


app = FastAPI(title="House prices")
model = joblib.load(MODEL)


@app.post("/predict")
def predict(houses: Houses) -> Prices:
    frame = pd.DataFrame(houses.model_dump()["records"])
    return Prices(prices=model.predict(frame).tolist())
