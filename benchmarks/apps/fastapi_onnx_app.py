"""The house model in ONNX behind FastAPI: `uvicorn fastapi_onnx_app:app`.

`async def`: the answer takes less time than a hop to another thread and back.
"""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/ridge/model.onnx")


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


options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
dtypes = {float: np.float64, int: np.int64, str: np.object_}
columns = [(name, dtypes[field.annotation]) for name, field in House.model_fields.items()]
app = FastAPI(title="House prices")


@app.post("/predict")
async def predict(houses: Houses) -> Prices:
    tensors = {
        name: np.array([getattr(house, name) for house in houses.records], dtype=dtype)[:, np.newaxis]
        for name, dtype in columns
    }
    (prices,) = session.run(["prediction"], tensors)
    return Prices(prices=prices.ravel().tolist())
