"""The least that can stand between a socket and the house model in Python: `uvicorn --lifespan off limit_app:app`.

It reads the tensors of the Open Inference Protocol from any body of any request and writes the answer. It checks
nothing, counts nothing, knows no other path and no error: what a real server adds, it adds to this.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/ridge/model.onnx")
DTYPES = {"FP64": np.float64, "INT64": np.int64, "BYTES": np.object_}


class Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class Request(msgspec.Struct):
    inputs: list[Input]


options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
decode = msgspec.json.Decoder(Request).decode
encode = msgspec.json.Encoder().encode


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    tensors = {
        tensor.name: np.array(tensor.data, dtype=DTYPES[tensor.datatype]).reshape(tensor.shape)
        for tensor in decode(body).inputs
    }
    outputs = [
        {"name": name, "datatype": "FP64", "shape": column.shape, "data": column.ravel().tolist()}
        for name, column in zip(names, session.run(names, tensors), strict=True)
    ]
    answer = encode({"model_name": "house_price", "outputs": outputs})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
