"""Bodies with binary tensors, written by another hand than the service's."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CODES = {"FP64": "d", "FP32": "f", "INT64": "q", "BOOL": "?"}


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Values as the bytes of a tensor. None is NaN."""
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in values)
    return b"".join(struct.pack("<" + CODES[datatype], np.nan if value is None else value) for value in values)


def message(inputs: Sequence[Mapping[str, Any]], **more: Any) -> tuple[bytes, str]:
    """A body, and its header, of tensors as `support.server.tensors` makes them, with their data in bytes.

    A tensor whose data are bytes already is sent with these.
    """
    blobs, told = [], []
    for each in inputs:
        data = each["data"] if isinstance(each["data"], bytes) else to_bytes(each["datatype"], each["data"])
        blobs.append(data)
        rest = {key: value for key, value in each.items() if key != "data"}
        told.append({"parameters": {"binary_data_size": len(data)}} | rest)
    text = json.dumps({"inputs": told} | more).encode()
    return text + b"".join(blobs), str(len(text))


def outputs(body: bytes, json_size: int) -> dict[str, np.ndarray]:
    """The outputs of a response, by name, as arrays of their shapes."""
    found, place = {}, json_size
    for output in json.loads(body[:json_size])["outputs"]:
        if "data" in output:
            found[output["name"]] = np.array(output["data"]).reshape(output["shape"])
            continue
        size = output["parameters"]["binary_data_size"]
        blob, place = body[place : place + size], place + size
        if output["datatype"] == "BYTES":
            values = []
            while blob:
                (length,) = struct.unpack("<I", blob[:4])
                values.append(blob[4 : 4 + length].decode())
                blob = blob[4 + length :]
        else:
            values = [value for (value,) in struct.iter_unpack("<" + CODES[output["datatype"]], blob)]
        found[output["name"]] = np.array(values).reshape(output["shape"])
    assert place == len(body)
    return found
