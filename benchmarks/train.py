"""Train the model that the servers of this folder share, and keep it with joblib: `python benchmarks/train.py`."""

import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from slipway.cases import CASES
from slipway.training.data import load

MODEL = Path(os.environ.get("MODEL", Path(__file__).parents[1] / "build/benchmarks/house_price.joblib"))
WORDS = ["dwelling", "condition", "neighborhood"]


def main() -> None:
    case = CASES["house_price"]
    houses = load(case.name)
    X_train, X_test, y_train, y_test = train_test_split(
        houses[case.features], houses[case.target], test_size=0.2, random_state=0
    )
    numbers = [name for name in case.features if name not in WORDS]
    prepare = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), WORDS))
    ridge = make_pipeline(prepare, Ridge(alpha=10))
    model = TransformedTargetRegressor(ridge, func=np.log, inverse_func=np.exp).fit(X_train, y_train)
    print(f"mean absolute error ${mean_absolute_error(y_test, model.predict(X_test)):,.0f}")

    MODEL.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, MODEL)


if __name__ == "__main__":
    main()
