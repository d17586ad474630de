"""Save the house model as MLflow's documentation shows, for `mlflow models serve`: with a signature and an example."""

import json
import os
from pathlib import Path

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

model = joblib.load(os.environ["MODEL"])
houses = pd.DataFrame(json.loads(Path(os.environ["HOUSES"]).read_text()))
mlflow.sklearn.save_model(
    model,
    os.environ["MLFLOW_MODEL"],
    signature=infer_signature(houses, model.predict(houses)),
    input_example=houses.head(),
    pip_requirements=[],  # it is served in the environment that it is saved in
    skops_trusted_types=["sklearn.tree._tree.Tree"],  # a forest has them
)
