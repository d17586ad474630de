"""One fitted model in the three forms that the servers load: joblib, ONNX, and a release in a model store of its own.

`python -m benchmarks.models NAME FOLDER` makes them, with `BENTOML_HOME` naming the store.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import bentoml
import joblib
import numpy as np
import pandas as pd
from skl2onnx.sklapi import CastTransformer
from sklearn.base import BaseEstimator
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline

from benchmarks.train import CASE, STEPS, fit, split
from slipway.cases import CASES
from slipway.core.model import MODEL_FILE
from slipway.training.interval import LogInterval
from slipway.training.release import bootstrap, release

MODELS = tuple(STEPS)
TITLES = {"ridge": "a ridge regression", "forest": "a random forest of 100 trees"}
MOST_ROWS = 1000
TEST_ROWS = 100
# How far a server's price may be from the model's own: ONNX adds up a forest's logarithms in 32 bits, which the
# exponential magnifies, and the v1 API rounds to dollars.
RELATIVE, DOLLARS = 5e-5, 0.5


@dataclass(frozen=True)
class Trained:
    """A fitted model: where its forms lie, the houses that the servers are asked about, and what it answers itself."""

    name: str
    folder: Path

    @classmethod
    def anew(cls, name: str, folder: Path) -> Self:
        """Fit a model and put its forms into a folder.

        The service loads a release of every case: those of the other cases are links into the caller's own store.
        Raises NotFound if one was never released there.
        """
        store = folder / "bentoml" / "models"
        store.mkdir(parents=True)
        for other in CASES.keys() - {CASE.name}:
            (store / other).symlink_to(Path(bentoml.models.get(f"{other}:latest").path).parent)
        environment = os.environ | {"BENTOML_HOME": str(store.parent)}
        subprocess.run([sys.executable, "-m", "benchmarks.models", name, str(folder)], env=environment, check=True)
        return cls(name, folder)

    @property
    def store(self) -> Path:
        """The `models` folder of the BentoML home that holds the release."""
        return self.folder / "bentoml" / "models"

    @cached_property
    def houses(self) -> list[dict[str, Any]]:
        """As many houses as a request may hold; the first hundred are of the test split."""
        return json.loads((self.folder / "houses.json").read_text())

    @cached_property
    def prices(self) -> np.ndarray:
        """What the model itself answers to them, in dollars."""
        return joblib.load(self.folder / "model.joblib").predict(pd.DataFrame(self.houses))


def served_as_onnx(pipeline: BaseEstimator) -> BaseEstimator:
    """The pipeline that answers the same in ONNX: scikit-learn's trees read 32-bit numbers, so the graph must cast."""
    prepare, regressor = (step for _, step in pipeline.steps)
    return make_pipeline(prepare, CastTransformer(), regressor) if hasattr(regressor, "estimators_") else pipeline


def covered(prices: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The share of the prices that lie within their intervals."""
    return float(np.mean((low <= prices) & (prices <= high)))


def make(name: str, folder: Path) -> None:
    """Fit a model, and write its forms into a folder and the model store."""
    train, test = split()
    model = fit(name, train)
    joblib.dump(model, folder / "model.joblib")

    calibrate, judge = test.iloc[::2], test.iloc[1::2]
    X, y = judge[CASE.features], judge[CASE.target].to_numpy()
    priced = LogInterval.calibrated(
        served_as_onnx(model.regressor_), calibrate[CASE.features], calibrate[CASE.target], coverage=0.9
    )
    metrics = {
        "mae": bootstrap(mean_absolute_error, y, priced.predict(X), resamples=100),
        "r2": bootstrap(r2_score, y, priced.predict(X), resamples=100),
        "coverage": bootstrap(covered, y, *priced.interval(X), resamples=100),
    }
    houses = pd.concat([test, train])
    released = release(CASE, priced, houses, train=train[CASE.features], metrics=metrics, tolerance=RELATIVE)
    (folder / "model.onnx").write_bytes(Path(released.path_of(MODEL_FILE)).read_bytes())
    houses[CASE.features].head(MOST_ROWS).to_json(folder / "houses.json", orient="records", double_precision=15)


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
