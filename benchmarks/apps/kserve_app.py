"""The house model in ONNX behind KServe's own model server: `python kserve_app.py --http_port 8080`.

A custom model, as KServe's documentation shows: `predict` takes the tensors of the Open Inference Protocol and returns
tensors.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import onnxruntime
import uvicorn
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/ridge/model.onnx")


class HousePrice(Model):
    def __init__(self) -> None:
        super().__init__("house_price")
        self.ready = True

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """Opened by the process that uses it: a session cannot be handed from the first process to its workers."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    async def predict(self, payload: InferRequest, *_: Any) -> InferResponse:
        names = [output.name for output in self.session.get_outputs()]
        columns = self.session.run(names, {tensor.name: tensor.as_numpy() for tensor in payload.inputs})
        outputs = [
            InferOutput(name, list(column.shape), "FP64", column) for name, column in zip(names, columns, strict=True)
        ]
        return InferResponse(payload.id or generate_uuid(), self.name, outputs)


class LocalConfig(uvicorn.Config):
    """KServe's server listens on every address of the machine and has no option against it; this one on 127.0.0.1."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"host": "127.0.0.1"})


if __name__ == "__main__":
    uvicorn.Config = LocalConfig
    ModelServer().start([HousePrice()])
