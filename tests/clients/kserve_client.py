"""What KServe's own REST client makes of the v2 API. Runs in the environment `kserve_client`.

Reads from stdin where the server is and what to ask each model; writes what the client understood. It has no call for
metadata.
"""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import to_np_dtype


def inputs(columns, **options):
    """The tensors of a request: in bytes, as is the client's default, unless the options say otherwise."""
    for column in columns:
        array = np.array(column["values"], to_np_dtype(column["datatype"])).reshape(len(column["values"]), -1)
        tensor = InferInput(column["name"], list(array.shape), column["datatype"])
        tensor.set_data_from_numpy(array, **options)
        yield tensor


async def refusal(client, url, model, tensors):
    """The status and the server's words."""
    try:
        await client.infer(url, InferRequest(model, tensors), model_name=model)
    except httpx.HTTPStatusError as refused:
        return str(refused.response.status_code), str(refused)


async def ask(client, url, model, question, **options):
    """What it understands of a model's answers. It gets them as JSON unless it asks for bytes."""
    asked = list(inputs(question["columns"], **options))
    are_bytes = options.get("binary_data", True)
    request = InferRequest(model, asked, parameters={"binary_data_output": are_bytes})
    everything = await client.infer(url, request, model_name=model)
    names = [output.name for output in everything.outputs]
    wanted = [RequestedOutput(name, {"binary_data": are_bytes}) for name in reversed(names)]
    request = InferRequest(model, asked, request_id="of-kserve", request_outputs=wanted[:1])
    chosen = await client.infer(url, request, model_name=model)
    plain = await client.infer(url, InferRequest(model, asked), model_name=model)
    assert [output.data for output in plain.outputs] == [output.data for output in everything.outputs]
    in_order = await client.infer(url, InferRequest(model, asked, request_outputs=wanted), model_name=model)
    return {
        "is_ready": await client.is_model_ready(url, model),
        "outputs": {output.name: output.as_numpy().tolist() for output in everything.outputs},
        "chosen": {output.name: output.data for output in chosen.outputs},
        "id": chosen.id,
        "order": [output.name for output in in_order.outputs],
        "error": await refusal(client, url, model, asked[1:]),
    }


async def main(asked):
    url = asked["url"]
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        return {
            "is_live": await client.is_server_live(url),
            "is_ready": await client.is_server_ready(url),
            "has_unknown": await client.is_model_ready(url, "unknown"),
            "models": {
                model: await ask(client, url, model, each, **asked["options"])
                for model, each in asked["models"].items()
            },
        }


json.dump(asyncio.run(main(json.load(sys.stdin))), sys.stdout)
