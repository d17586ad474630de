"""From a fitted scikit-learn model to the ONNX graph that is served, and the proof that both answer alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import pandas as pd
from onnx import NodeProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import BooleanTensorType, DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier

from slipway.core.card import Datatype, Tensor
from slipway.core.case import Case, Outputs
from slipway.core.feature import features
from slipway.core.model import as_array
from slipway.training.interval import LogInterval

TYPES = {
    "FP64": DoubleTensorType,
    "INT64": Int64TensorType,
    "BOOL": BooleanTensorType,
    "BYTES": StringTensorType,
}
ELEMENTS: dict[int, Datatype] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.INT64: "INT64",
    TensorProto.BOOL: "BOOL",
    TensorProto.STRING: "BYTES",
}


class ParityError(Exception):
    """The graph and the model that it was made from give different predictions."""


class ConversionError(Exception):
    """skl2onnx cannot make a graph of the model as it is."""


@dataclass(frozen=True)
class Graph:
    """A graph that can be released, and what must come out of it.

    proto: its inputs are named as the features of the case, each an array of shape (n, 1), for a list (n, k); one of
        its outputs is `prediction`
    answer: what the library says that the model was trained with: from a frame of features arrays of n rows, under the
        names of the graph's outputs
    classes: of the output `probabilities`, in their order, if there is one
    """

    proto: onnx.ModelProto
    answer: Callable[[pd.DataFrame], Outputs]
    classes: Sequence[str] = ()


def inputs(case: Case) -> list[Tensor]:
    """One input for each feature."""
    return [Tensor(name=name, datatype=feature.datatype) for name, feature in features(case.record).items()]


def tensors(case: Case, X: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of a frame as the graph's inputs, arrays of shape (n, 1), for lists (n, k)."""
    return {tensor.name: as_array(X[tensor.name].tolist(), tensor.datatype) for tensor in inputs(case)}


def graph(case: Case, model: BaseEstimator) -> Graph:
    """The graph of a fitted scikit-learn model. Raises ConversionError if there is none."""
    classes = [str(name) for name in model.classes_] if is_classifier(model) else []
    return Graph(convert(case, model), partial(expected, model), classes)


def convert(case: Case, model: BaseEstimator) -> onnx.ModelProto:
    """What is computed in the graph of a fitted model. Raises ConversionError if there is none.

    A classifier's outputs are `prediction`, of shape (n,), and `probabilities`, (n, classes). A LogInterval's are
    `prediction`, `low` and `high`, each (n, 1); any other regressor's is `prediction`.
    """
    if isinstance(model, LogInterval):
        return with_interval(rename(graph_of(case, model.log_model), "log"), model.half_width)
    names = ["prediction", "probabilities"] if is_classifier(model) else ["prediction"]
    return rename(graph_of(case, model), *names)


def graph_of(case: Case, model: BaseEstimator) -> onnx.ModelProto:
    """What skl2onnx makes of a model. Raises ConversionError if it cannot."""
    types = [(tensor.name, TYPES[tensor.datatype]([None, 1])) for tensor in inputs(case)]
    options = {"zipmap": False} if is_classifier(model) else None
    try:
        graph: onnx.ModelProto = to_onnx(model, initial_types=types, options=options)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConversionError(
            f"skl2onnx cannot convert {type(model).__name__}: {reason}\nEach feature is an input of its own, so the "
            "model must be a pipeline whose first step is a ColumnTransformer that names its columns."
        ) from error
    return graph


def rename(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """The graph with its outputs renamed, in order."""
    new = dict(zip((output.name for output in model.graph.output), names, strict=True))
    for node in model.graph.node:
        node.output[:] = [new.get(name, name) for name in node.output]
    for output in model.graph.output:
        output.name = new[output.name]
    return model


def with_interval(model: onnx.ModelProto, half_width: float) -> onnx.ModelProto:
    """The graph of a logarithm, extended to the quantity and the ends of its interval."""
    kind = model.graph.output[0].type.tensor_type.elem_type
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    shifts = {"prediction": 0.0, "low": -half_width, "high": half_width}
    nodes = []
    for name in shifts:
        nodes.append(helper.make_node("Add", ["log", f"{name}_shift"], [f"log_{name}"]))
        nodes.append(helper.make_node("Exp", [f"log_{name}"], [name]))
    constants = {f"{name}_shift": np.array([shift], dtype) for name, shift in shifts.items()}
    return extend(model, nodes, constants, {name: (kind, [None, 1]) for name in shifts})


def extend(
    model: onnx.ModelProto,
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray],
    outputs: Mapping[str, tuple[int, Sequence[int | None]]],
) -> onnx.ModelProto:
    """The graph with more nodes at its end, and with these outputs instead of its own.

    constants: what the nodes read beside the tensors of the graph, by name
    outputs: the element type of each, as `TensorProto` counts them, and its shape, with None for the number of rows

    Raises onnx.checker.ValidationError, or InferenceError, if the nodes do not fit the graph.
    """
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items())
    onnx.checker.check_model(extended, full_check=True)
    return extended


def outputs(model: onnx.ModelProto) -> list[Tensor]:
    """The graph's outputs, with the types that the protocol names."""
    return [
        Tensor(name=output.name, datatype=ELEMENTS[output.type.tensor_type.elem_type]) for output in model.graph.output
    ]


def expected(model: BaseEstimator, X: pd.DataFrame) -> Outputs:
    """What scikit-learn answers, under the names of the graph's outputs."""
    if is_classifier(model):
        return {"prediction": model.predict(X), "probabilities": model.predict_proba(X)}
    if isinstance(model, LogInterval):
        low, high = model.interval(X)
        return {"prediction": model.predict(X), "low": low, "high": high}
    return {"prediction": model.predict(X)}


def check_parity(ours: Outputs, theirs: Outputs, X: pd.DataFrame, tolerance: float) -> float:
    """The largest relative difference between the two, over all outputs and rows.

    Raises ParityError with the worst row of X if it is above the tolerance, or if a label differs.
    """
    worst = 0.0
    for name, reference in theirs.items():
        found = np.asarray(ours[name]).reshape(np.shape(reference))
        if found.dtype.kind in "OUST":
            gap = (found != reference).astype(float)
        else:
            gap = np.abs(found - reference) / np.maximum(np.abs(reference), 1.0)
        gap = np.nan_to_num(gap, nan=np.inf).reshape(len(X), -1).max(axis=1)
        row = int(gap.argmax())
        if gap[row] > tolerance:
            raise ParityError(
                f"output {name!r}: {found[row]} from ONNX, {np.asarray(reference)[row]} from scikit-learn "
                f"(off by {gap[row]:.1g}, {tolerance:g} allowed) for row {X.index[row]}: {X.iloc[row].to_dict()}"
            )
        worst = max(worst, float(gap[row]))
    return worst
