"""What Triton's own HTTP client makes of the v2 API. Runs in the environment `triton_client`.

Reads from stdin where the server is and what to ask each model; writes what the client understood.
"""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def inputs(columns, **options):
    """The tensors of a request: in bytes, as is the client's default, unless the options say otherwise."""
    for column in columns:
        array = np.array(column["values"], triton_to_np_dtype(column["datatype"])).reshape(len(column["values"]), -1)
        tensor = triton.InferInput(column["name"], list(array.shape), column["datatype"])
        tensor.set_data_from_numpy(array, **options)
        yield tensor


def values(result, name):
    """An output as lists. Words in bytes are bytes for this client."""
    array = result.as_numpy(name)
    return np.char.decode(array.astype(bytes), "utf-8").tolist() if array.dtype == object else array.tolist()


def refusal(client, model, tensors):
    """The status and the server's words."""
    try:
        client.infer(model, tensors)
    except InferenceServerException as refused:
        return refused.status(), refused.message()


def ask(client, model, question, **options):
    """What it understands of a model's answers. options: of its tensors, in requests and responses"""
    asked = list(inputs(question["columns"], **options))
    metadata = client.get_model_metadata(model)
    names = [output["name"] for output in metadata["outputs"]]
    wanted = [triton.InferRequestedOutput(name, **options) for name in reversed(names)]
    everything = client.infer(model, asked) if not options else client.infer(model, asked, outputs=wanted)
    chosen = client.infer(model, asked, outputs=wanted[:1], request_id="of-triton")
    versioned = client.infer(model, asked, model_version=metadata["versions"][0], outputs=wanted)
    return {
        "is_ready": client.is_model_ready(model),
        "metadata": metadata,
        "outputs": {name: values(everything, name) for name in names},
        "are_bytes": ["data" not in output for output in everything.get_response()["outputs"]],
        "version": everything.get_response()["model_version"],
        "chosen": {output["name"]: values(chosen, output["name"]) for output in chosen.get_response()["outputs"]},
        "id": chosen.get_response()["id"],
        "order": [output["name"] for output in versioned.get_response()["outputs"]],
        "error": refusal(client, model, asked[1:]),
    }


asked = json.load(sys.stdin)
with triton.InferenceServerClient(asked["url"].removeprefix("http://")) as client:
    understood = {
        "is_live": client.is_server_live(),
        "is_ready": client.is_server_ready(),
        "server": client.get_server_metadata(),
        "has_unknown": client.is_model_ready("unknown"),
        "models": {model: ask(client, model, each, **asked["options"]) for model, each in asked["models"].items()},
    }
json.dump(understood, sys.stdout)
