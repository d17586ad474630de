"""Requests and answers of the Open Inference Protocol: in JSON, or in Triton's binary tensor data extension.

With the extension the values of a tensor are not in the JSON but behind it, in the order of the tensors: FP64 and INT64
in 8 bytes each, little endian, and BYTES as the length of each word in 4 bytes and then the word.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

Houses = list[dict[str, Any]]
DATATYPES = {float: "FP64", int: "INT64", str: "BYTES"}
FORMATS = {"FP64": "d", "INT64": "q"}
JSON_SIZE = "Inference-Header-Content-Length"


class Message(NamedTuple):
    """A body, and how many of its bytes are JSON if binary tensors follow."""

    body: bytes
    json_size: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a request says of its body, except its length."""
        if self.json_size is None:
            return {"Content-Type": "application/json"}
        return {"Content-Type": "application/octet-stream", JSON_SIZE: str(self.json_size)}


def compact(content: Mapping[str, Any]) -> bytes:
    """JSON without a space too many."""
    return json.dumps(content, separators=(",", ":")).encode()


def tensors(houses: Houses) -> dict[str, Any]:
    """A request with one tensor a feature, of shape (houses, 1). Each has the datatype of the first house's value."""
    inputs = [
        {
            "name": name,
            "shape": [len(houses), 1],
            "datatype": DATATYPES[type(value)],
            "data": [house[name] for house in houses],
        }
        for name, value in houses[0].items()
    ]
    return {"inputs": inputs}


def prediction(answer: dict[str, Any]) -> list[float]:
    """The first tensor of an answer."""
    return answer["outputs"][0]["data"]


def binary(request: dict[str, Any]) -> Message:
    """A request as Triton's client sends it unless told otherwise: its tensors are binary, and so are the answer's."""
    inputs, payload = [], b""
    for tensor in request["inputs"]:
        content = packed(tensor["datatype"], tensor["data"])
        about = {name: tensor[name] for name in ("name", "shape", "datatype")}
        inputs.append(about | {"parameters": {"binary_data_size": len(content)}})
        payload += content
    head = compact({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return Message(head + payload, len(head))


def packed(datatype: str, values: list[Any]) -> bytes:
    """The bytes of a tensor."""
    if datatype == "BYTES":
        words = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(word)) + word for word in words)
    return struct.pack(f"<{len(values)}{FORMATS[datatype]}", *values)


def parsed(message: Message) -> dict[str, Any]:
    """An answer with the values of its tensors in it, wherever they were. Of binary ones it knows FP64 and INT64."""
    answer = json.loads(message.body[: message.json_size])
    if message.json_size is None:
        return answer
    begin = message.json_size
    for tensor in answer["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is not None:
            content = message.body[begin : begin + size]
            tensor["data"] = list(struct.unpack(f"<{size // 8}{FORMATS[tensor['datatype']]}", content))
            begin += size
    return answer
