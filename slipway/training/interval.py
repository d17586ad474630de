"""A regression that answers with an interval."""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin


class LogInterval(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted model of the logarithm of a quantity, read in the quantity's own unit, with a prediction interval.

    The interval is that of split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018): on rows that the
    model was not fitted to, take the residuals' absolute values; their quantile of rank ceil((n + 1) * coverage) is
    the half-width. On the logarithm's scale it is the same everywhere, so in dollars it grows with the price.

    log_model: fitted; its `predict` gives natural logarithms, shape (n,)
    half_width: of the interval, on the scale of the logarithm
    """

    def __init__(self, log_model: BaseEstimator, half_width: float) -> None:
        self.log_model = log_model
        self.half_width = half_width

    @classmethod
    def calibrated(cls, log_model: BaseEstimator, X: pd.DataFrame, y: ArrayLike, coverage: float) -> Self:
        """The model with the half-width that n held-out rows give: X of shape (n, features), y of shape (n,), y > 0.

        Raises ValueError if n is too small for the coverage: no residual has the rank that it asks for.
        """
        residuals = np.sort(np.abs(np.log(np.asarray(y, dtype=float)) - log_model.predict(X)))
        rank = int(np.ceil((len(residuals) + 1) * coverage))
        if not 1 <= rank <= len(residuals):
            raise ValueError(f"a coverage of {coverage:g} needs more than {len(residuals)} rows to calibrate on")
        return cls(log_model, float(residuals[rank - 1]))

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """The expected quantity, shape (n,)."""
        return np.exp(np.asarray(self.log_model.predict(X), dtype=np.float64))

    def interval(self, X: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lower and the upper ends, each of shape (n,)."""
        prediction = self.predict(X)
        return prediction * np.exp(-self.half_width), prediction * np.exp(self.half_width)
