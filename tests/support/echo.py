"""A model that answers with its inputs: no case has a truth value yet, so this one has each datatype there is."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import Field

from slipway.cases import CASES
from slipway.core.card import Card, Histogram, Tensor
from slipway.core.case import Case
from slipway.core.model import Model
from slipway.core.record import Record
from slipway.serving.models import Models, Served
from slipway.serving.observe.metrics import Telemetry
from slipway.serving.settings import Settings

ELEMENTS = {
    "FP64": TensorProto.DOUBLE,
    "FP32": TensorProto.FLOAT,
    "INT64": TensorProto.INT64,
    "BOOL": TensorProto.BOOL,
    "BYTES": TensorProto.STRING,
}


class Echoed(Record):
    """A record with a field of each datatype, and those that have no range and no words."""

    level: float = Field(ge=0, le=1)
    gain: float
    known: float | None
    count: int = Field(ge=-5, le=5)
    turns: int
    lit: bool
    word: Literal["red", "grün"]
    note: str


ROW = {"level": 0.1, "gain": 1.5, "known": 9.5, "count": -5, "turns": 7, "lit": True, "word": "grün", "note": "a, b"}
INPUTS = {
    "level": "FP64",
    "gain": "FP64",
    "known": "FP64",
    "count": "INT64",
    "turns": "INT64",
    "lit": "BOOL",
    "word": "BYTES",
    "note": "BYTES",
}


def echo() -> Model:
    """The model: of each input an output `<name>_again`, but `prediction` for the level, which comes as FP32, too."""

    def value(name, datatype):
        return helper.make_tensor_value_info(name, ELEMENTS[datatype], [None, 1])

    named = {"prediction" if name == "level" else f"{name}_again": (name, kind) for name, kind in INPUTS.items()}
    nodes = [helper.make_node("Identity", [name], [output]) for output, (name, _) in named.items()]
    nodes.append(helper.make_node("Cast", ["level"], ["level_as_float"], to=TensorProto.FLOAT))
    outputs = {output: kind for output, (_, kind) in named.items()} | {"level_as_float": "FP32"}
    graph = helper.make_graph(
        nodes, "echo", [value(*each) for each in INPUTS.items()], [value(*each) for each in outputs.items()]
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    onnx.checker.check_model(content)
    card = Card(
        case="echo",
        target="level",
        inputs=[Tensor(name=name, datatype=kind) for name, kind in INPUTS.items()],
        outputs=[Tensor(name=name, datatype=kind) for name, kind in outputs.items()],
        classes=[],
        metrics={},
        gate={},
        reference={"prediction": Histogram(edges=[0.5], low=0, high=1, counts=[1, 1])},
        data_sha256="",
        model_sha256=hashlib.sha256(content).hexdigest(),
        libraries={},
    )
    return Model("echo:1", card, content)


@contextmanager
def echoing() -> Iterator[Models]:
    """The echo among the cases, and loaded."""
    case = Case("echo", Echoed, Echoed, "level", Echoed, lambda outputs, card: {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CASES, "echo", case)
        yield Models({"echo": Served(case, echo(), Telemetry(), Settings())})
