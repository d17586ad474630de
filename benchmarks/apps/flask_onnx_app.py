"""The house model in ONNX behind Flask: `gunicorn --threads 4 flask_onnx_app:app`."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from flask import Flask, request

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/ridge/model.onnx")
DTYPES = {"tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(string)": np.object_}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
columns = [(tensor.name, DTYPES[tensor.type]) for tensor in session.get_inputs()]
app = Flask(__name__)


@app.post("/predict")
def predict() -> dict[str, list[float]]:
    houses = request.get_json()["records"]
    tensors = {name: np.array([house[name] for house in houses], dtype=dtype)[:, np.newaxis] for name, dtype in columns}
    (prices,) = session.run(["prediction"], tensors)
    return {"prices": prices.ravel().tolist()}
