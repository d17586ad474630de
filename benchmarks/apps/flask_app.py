"""The house model behind Flask: `gunicorn --threads 4 flask_app:app`."""

import os
from pathlib import Path

import joblib
import pandas as pd
from flask import Flask, request

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/house_price.joblib")

app = Flask(__name__)
model = joblib.load(MODEL)


@app.post("/predict")
def predict() -> dict[str, list[float]]:
    houses = pd.DataFrame(request.get_json()["records"])
    return {"prices": model.predict(houses).tolist()}
