"""The house model in ONNX behind mosec, whose HTTP server is written in Rust: `python mosec_app.py --port 8000`.

mosec's documentation asks for a `deserialize` and a `serialize` of one's own where the standard library's JSON is not
wanted. Those here are msgspec's, which is faster. Its typed mixin would check the types, but only in MessagePack.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from mosec import Server, Worker

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/ridge/model.onnx")
DTYPES = {"FP64": np.float64, "INT64": np.int64, "BYTES": np.object_}


class HousePrice(Worker):
    def __init__(self) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def deserialize(self, data: bytes) -> dict[str, Any]:
        return msgspec.json.decode(data)

    def serialize(self, data: dict[str, Any]) -> bytes:
        return msgspec.json.encode(data)

    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        tensors = {
            tensor["name"]: np.array(tensor["data"], DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
            for tensor in data["inputs"]
        }
        outputs = [
            {"name": name, "datatype": "FP64", "shape": column.shape, "data": column.ravel().tolist()}
            for name, column in zip(self.names, self.session.run(self.names, tensors), strict=True)
        ]
        return {"model_name": "house_price", "outputs": outputs}


if __name__ == "__main__":
    server = Server()
    server.append_worker(HousePrice, num=int(os.environ.get("WORKERS", "1")))
    server.run()
