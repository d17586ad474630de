"""The ONNX graph answers like the scikit-learn model that it was made from, on any valid record."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from onnx import TensorProto
from onnx.checker import ValidationError
from onnx.helper import make_node
from onnx.shape_inference import InferenceError
from onnxruntime import InferenceSession
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support.strategies import records

from slipway.cases import CASES
from slipway.core.card import Card
from slipway.core.model import Model
from slipway.training import conversion
from slipway.training.conversion import ConversionError, ParityError, check_parity
from slipway.training.data import load
from slipway.training.interval import LogInterval

HOUSES, FRUIT = CASES["house_price"], CASES["fruit"]
WORDS = ["dwelling", "condition", "neighborhood"]
NUMBERS = [name for name in HOUSES.features if name not in WORDS]


def session(case, model):
    """The model of a graph, with the least card that it needs."""
    graph = conversion.convert(case, model)
    content = graph.SerializeToString()
    card = Card.model_construct(
        inputs=conversion.inputs(case),
        outputs=conversion.outputs(graph),
        model_sha256=hashlib.sha256(content).hexdigest(),
    )
    return Model("test", card, content)


def prices(scale, regressor):
    houses = load("house_price")
    prepare = make_column_transformer((scale, NUMBERS), (OneHotEncoder(handle_unknown="ignore"), WORDS))
    steps = [prepare, CastTransformer(), regressor] if scale == "passthrough" else [prepare, regressor]
    model = make_pipeline(*steps)
    return LogInterval(model.fit(houses[HOUSES.features], np.log(houses["price"])), half_width=0.2)


RIDGE = prices(StandardScaler(), Ridge(1.0))
FOREST = prices("passthrough", RandomForestRegressor(20, random_state=0))


def tree():
    basket = load("fruit")
    colours = make_column_transformer((OneHotEncoder(sparse_output=False), ["colour"]), remainder="passthrough")
    model = make_pipeline(colours, CastTransformer(), DecisionTreeClassifier(random_state=0))
    return model.fit(basket[FRUIT.features], basket["fruit"])


TREE = tree()


def test_a_graph_is_extended_and_left_as_it_was():
    plain = conversion.convert(FRUIT, TREE)
    nodes = [make_node("Equal", ["prediction", "kiwi"], ["is_kiwi"])]
    longer = conversion.extend(plain, nodes, {"kiwi": np.array(["kiwi"])}, {"is_kiwi": (TensorProto.BOOL, [None])})
    assert [output.name for output in longer.graph.output] == ["is_kiwi"]
    assert [output.name for output in plain.graph.output] == ["prediction", "probabilities"]
    basket = load("fruit").head(50)
    (found,) = InferenceSession(longer.SerializeToString()).run(None, conversion.tensors(FRUIT, basket))
    assert found.tolist() == (TREE.predict(basket) == "kiwi").tolist()
    assert found.any()


def test_nodes_that_do_not_fit_are_refused():
    nodes = [make_node("Add", ["prediction", "number"], ["sum"])]
    with pytest.raises((ValidationError, InferenceError)):
        conversion.extend(
            conversion.convert(FRUIT, TREE), nodes, {"number": np.ones(1)}, {"sum": (TensorProto.DOUBLE, [None])}
        )


SESSIONS = {"ridge": session(HOUSES, RIDGE), "forest": session(HOUSES, FOREST), "tree": session(FRUIT, TREE)}


def compare(name, case, model, rows):
    X = pd.DataFrame(rows)
    validated = [case.record.model_validate(row) for row in rows]
    check_parity(SESSIONS[name].predict(validated), conversion.expected(model, X), X, tolerance=1e-5)


@settings(max_examples=200, deadline=None)
@given(rows=records(HOUSES))
def test_a_ridge_agrees_on_any_house(rows):
    compare("ridge", HOUSES, RIDGE, rows)


@settings(max_examples=100, deadline=None)
@given(rows=records(HOUSES))
def test_a_forest_agrees_on_any_house(rows):
    compare("forest", HOUSES, FOREST, rows)


@settings(max_examples=200, deadline=None)
@given(rows=records(FRUIT))
def test_a_tree_agrees_on_any_fruit(rows):
    compare("tree", FRUIT, TREE, rows)


def test_the_interval_lies_around_the_prediction():
    house = HOUSES.record.model_validate(load("house_price").loc[0, HOUSES.features].to_dict())
    outputs = SESSIONS["ridge"].predict([house])
    assert outputs["high"] / outputs["prediction"] == pytest.approx(np.exp(0.2))
    assert outputs["prediction"] / outputs["low"] == pytest.approx(np.exp(0.2))


def test_a_model_that_takes_all_columns_at_once_is_refused_with_what_to_do():
    basket = load("fruit")
    bare = DecisionTreeClassifier().fit(basket[["weight", "length"]], basket["fruit"])
    with pytest.raises(ConversionError, match="first step is a ColumnTransformer"):
        conversion.convert(FRUIT, bare)


X = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=[10, 11, 12])


def test_a_difference_is_told_with_its_worst_row():
    with pytest.raises(ParityError, match=r"0.3.*row 12: \{'x': 3.0\}"):
        check_parity({"p": np.array([0.1, 0.2, 0.3])}, {"p": np.array([0.1, 0.201, 0.4])}, X, 1e-6)


def test_another_label_is_a_difference():
    with pytest.raises(ParityError, match="row 11"):
        check_parity({"p": np.array(["a", "b", "a"])}, {"p": np.array(["a", "a", "a"])}, X, 1e-6)


def test_nan_is_never_equal():
    with pytest.raises(ParityError, match="row 10"):
        check_parity({"p": np.array([np.nan, 1, 1])}, {"p": np.array([1.0, 1, 1])}, X, 1e-6)


def test_the_largest_difference_is_returned():
    assert check_parity({"p": np.array([1, 2, 3.03])}, {"p": np.array([1.0, 2, 3])}, X, 0.1) == pytest.approx(0.01)
