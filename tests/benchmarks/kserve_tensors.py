"""KServe's own reading and writing of binary tensors. Runs in the environment `kserve_client`.

Reads a request in hexadecimal from stdin, with the size of its JSON; writes what the tensors of the request are, and an
answer with some of them, in hexadecimal too.
"""

import json
import sys

from kserve import InferOutput, InferRequest, InferResponse

asked = json.load(sys.stdin)
request = InferRequest.from_bytes(bytes.fromhex(asked["body"]), asked["json_size"], "house_price")
arrays = {tensor.name: tensor.as_numpy() for tensor in request.inputs}
outputs = [InferOutput(name, list(arrays[name].shape), datatype, arrays[name]) for name, datatype in asked["outputs"]]
response = InferResponse("1", "house_price", outputs, use_binary_outputs=request.use_binary_outputs)
body, json_size = response.to_rest()
json.dump(
    {
        "inputs": {name: array.tolist() for name, array in arrays.items()},
        "body": body.hex(),
        "json_size": json_size,
    },
    sys.stdout,
)
