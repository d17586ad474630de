"""Split conformal intervals keep their promise on rows that the model has not seen."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from slipway.training.interval import LogInterval


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.uniform(0, 1, 3000)})
    y = np.exp(1 + 2 * X["x"] + rng.normal(0, 0.3, 3000))
    return X, y


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
def test_as_many_lie_inside_as_promised(rows, coverage):
    X, y = rows
    model = LinearRegression().fit(X[:1000], np.log(y[:1000]))
    interval = LogInterval.calibrated(model, X[1000:2000], y[1000:2000], coverage)
    low, high = interval.interval(X[2000:])
    assert np.mean((low <= y[2000:]) & (y[2000:] <= high)) == pytest.approx(coverage, abs=0.04)


def test_the_half_width_is_the_residual_of_its_rank():
    X = pd.DataFrame({"x": np.zeros(9)})
    model = LinearRegression().fit(X, np.zeros(9))
    residuals = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert LogInterval.calibrated(model, X, np.exp(residuals), 0.9).half_width == pytest.approx(0.9)  # ceil(10 * 0.9)
    assert LogInterval.calibrated(model, X, np.exp(-residuals), 0.5).half_width == pytest.approx(0.5)


def test_too_few_rows_for_the_coverage_are_refused(rows):
    X, y = rows
    model = LinearRegression().fit(X, np.log(y))
    with pytest.raises(ValueError, match="needs more than 8 rows"):
        LogInterval.calibrated(model, X[:8], y[:8], 0.9)
