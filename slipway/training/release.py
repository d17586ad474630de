"""Release a model: convert it, prove it, write its card, and put it into BentoML's model store."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import bentoml
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import BaseEstimator

from slipway.core import store
from slipway.core.card import Card, Histogram, Metric
from slipway.core.case import Case, Outputs
from slipway.core.feature import features
from slipway.core.model import CARD_FILE, MODEL_FILE, Model
from slipway.training import conversion
from slipway.training.data import checksum

LIBRARIES = ("bentoml", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx")
BINS = 10


class GateError(Exception):
    """A model does not reach what its case asks of a release."""


def bootstrap(metric: Callable[..., float], *columns: np.ndarray, resamples: int = 1000, seed: int = 0) -> Metric:
    """A metric of columns of n values, with its 95 % percentile bootstrap interval (Efron 1979).

    Rows are drawn together: `bootstrap(mean_absolute_error, y_true, y_predicted)`.
    """
    arrays = tuple(np.asarray(column) for column in columns)
    drawn = stats.bootstrap(
        arrays, metric, paired=True, vectorized=False, n_resamples=resamples, method="percentile", rng=seed
    )
    low, high = drawn.confidence_interval
    return Metric(value=float(metric(*arrays)), low=float(low), high=float(high))


def histogram(values: pd.Series) -> Histogram:
    """How values are distributed: words by category, numbers by decile, or by value where there are few."""
    missing = int(values.isna().sum())
    values = values.dropna()
    if not pd.api.types.is_numeric_dtype(values):
        words = values.value_counts().sort_index()
        return Histogram(categories=list(words.index), counts=words.tolist())
    distinct = np.unique(values)
    if len(distinct) <= BINS:
        edges = (distinct[:-1] + distinct[1:]) / 2
    else:
        edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    low, high = float(values.min()), float(values.max())
    return Histogram(edges=edges.tolist(), low=low, high=high, counts=counts.tolist(), missing=missing)


def reference(case: Case, answer: Callable[[pd.DataFrame], Outputs], train: pd.DataFrame) -> dict[str, Histogram]:
    """How the features and the prediction are distributed on the training split; of lists, their values."""
    X = train[case.features]
    histograms = {}
    for name, feature in features(case.record).items():
        values = X[name].explode().dropna().infer_objects() if feature.is_list else X[name]
        histograms[name] = histogram(values).model_copy(update={"is_padded": feature.is_padded})
    return histograms | {"prediction": histogram(pd.Series(np.ravel(answer(X)["prediction"])))}


def gate(case: Case, metrics: Mapping[str, Metric]) -> None:
    """Raises GateError, with every metric that falls short or is missing, unless all reach their bounds."""
    failures = [
        f"{name} is {metrics[name].value:.6g}, must be {bound}" if name in metrics else f"{name} was not measured"
        for name, bound in case.gate.items()
        if name not in metrics or not bound.admits(metrics[name].value)
    ]
    if failures:
        raise GateError(f"{case.name} is not released: " + "; ".join(failures))


def release(
    case: Case,
    model: BaseEstimator | conversion.Graph,
    data: pd.DataFrame,
    *,
    train: pd.DataFrame,
    metrics: Mapping[str, Metric],
    source: pd.DataFrame | None = None,
    tolerance: float = 1e-6,
) -> bentoml.Model:
    """Put a fitted model into BentoML's model store, as what the service answers the case with from its next start.

    model: a scikit-learn estimator, or a graph put together by hand
    data: rows with the case's features; on each of them the ONNX graph must agree with the model
    train: the rows that the model was fitted to, the reference that drift is measured from
    metrics: on the test split; those that the case's gate names must reach its bounds
    source: the data set, if `data` are not its rows as they are; its checksum goes onto the card
    tolerance: the largest relative difference between the graph's outputs and the model's

    Raises GateError, ConversionError or ParityError, and stores nothing then.
    """
    gate(case, metrics)
    graph = model if isinstance(model, conversion.Graph) else conversion.graph(case, model)
    content = graph.proto.SerializeToString()
    card = Card(
        case=case.name,
        target=case.target,
        inputs=conversion.inputs(case),
        outputs=conversion.outputs(graph.proto),
        classes=list(graph.classes),
        metrics=dict(metrics),
        gate={name: str(bound) for name, bound in case.gate.items()},
        reference=reference(case, graph.answer, train),
        data_sha256=checksum(case, data if source is None else source),
        model_sha256=hashlib.sha256(content).hexdigest(),
        libraries={name: version(name) for name in LIBRARIES},
    )
    served = Model(f"{case.name}:unreleased", card, content)
    rows = data[case.features]
    answers = served.run(conversion.tensors(case, rows))
    conversion.check_parity(answers, graph.answer(rows), rows, tolerance)
    list(case.answers(answers, card))  # raises if the case cannot read what its model says

    entry = bentoml.Model.create(
        case.name,
        module="",
        api_version="v1",
        signatures={},
        labels={"case": case.name, "data": card.data_sha256[:12]},
        context=bentoml.models.ModelContext("", {}),
    )
    Path(entry.path_of(MODEL_FILE)).write_bytes(content)
    Path(entry.path_of(CARD_FILE)).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    entry.flush()  # type: ignore[no-untyped-call]
    return store.put(entry)
