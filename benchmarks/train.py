"""Train the models that the servers of this folder share: `python benchmarks/train.py` keeps the ridge with joblib."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from slipway.cases import CASES
from slipway.training.data import load

MODEL = Path(os.environ.get("MODEL", Path(__file__).parents[1] / "build/benchmarks/house_price.joblib"))
CASE = CASES["house_price"]
WORDS = ["dwelling", "condition", "neighborhood"]
STEPS = {
    "ridge": (StandardScaler(), Ridge(alpha=10)),
    "forest": ("passthrough", RandomForestRegressor(n_estimators=100, random_state=0)),
}


def split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sales to train on, and those to test on."""
    return train_test_split(load(CASE.name), test_size=0.2, random_state=0)


def fit(name: str, train: pd.DataFrame) -> TransformedTargetRegressor:
    """One of the models, fitted: from the features of a house to its price in dollars."""
    scale, regressor = STEPS[name]
    numbers = [feature for feature in CASE.features if feature not in WORDS]
    prepare = make_column_transformer((scale, numbers), (OneHotEncoder(handle_unknown="ignore"), WORDS))
    model = TransformedTargetRegressor(make_pipeline(prepare, regressor), func=np.log, inverse_func=np.exp)
    return model.fit(train[CASE.features], train[CASE.target])


def main() -> None:
    train, test = split()
    model = fit("ridge", train)
    print(f"mean absolute error ${mean_absolute_error(test[CASE.target], model.predict(test[CASE.features])):,.0f}")

    MODEL.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, MODEL)


if __name__ == "__main__":
    main()
