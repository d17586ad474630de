"""The second door: the Open Inference Protocol, version 2, over HTTP and JSON.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md

Columns in, columns out: each becomes an input tensor of the model with one call, where the typed door makes an object
of each record. What is refused is the same at both doors.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway import __version__
from slipway.serving.columns import ColumnError, columns
from slipway.serving.keys import DuplicateKeyError, check_keys
from slipway.serving.lifecycle import worker
from slipway.serving.limits import MOST_RECORDS
from slipway.serving.models import Models, Served
from slipway.serving.request import is_of_protocol

Parameters = dict[str, str | bool | int | float] | UnsetType


class Input(Struct, forbid_unknown_fields=True):
    """An input tensor, as it is sent."""

    name: str
    shape: list[int]
    datatype: str
    data: Raw
    parameters: Parameters = UNSET


class RequestedOutput(Struct, forbid_unknown_fields=True):
    """An output that the client wants."""

    name: str
    parameters: Parameters = UNSET


class InferenceRequest(Struct, forbid_unknown_fields=True):
    """The body of a request. Parameters ask for extensions; this server has none and may ignore them."""

    inputs: list[Input]
    id: str | UnsetType = UNSET
    outputs: list[RequestedOutput] | UnsetType = UNSET
    parameters: Parameters = UNSET


class ProtocolError(Exception):
    """A request that cannot be answered: the status and the words for its client."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class InferenceModel:
    """One model, as the protocol sees it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.name, _, self.version = served.model.tag.partition(":")
        self._columns = columns(served.case, served.model.card.inputs)
        self._datatypes = {output.name: output.datatype for output in served.model.card.outputs}
        self._decoder = msgspec.json.Decoder(InferenceRequest)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the model takes and answers; -1 stands for any number of rows."""
        inputs = [{"name": each.name, "datatype": each.datatype, "shape": [-1, 1]} for each in self._columns.values()]
        outputs = [
            {"name": name, "datatype": self._datatypes[name], "shape": shape}
            for name, shape in self.served.model.output_shapes.items()
        ]
        platform = "onnxruntime_onnx"
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": platform,
            "inputs": inputs,
            "outputs": outputs,
        }

    def infer(self, body: bytes) -> bytes:
        """The response to an inference request. Raises ProtocolError if it is not valid."""
        request = self._read(body)
        tensors = self._tensors(request.inputs)
        wanted = self._wanted(request)
        outputs = self.served.run(tensors)
        response: dict[str, Any] = {"model_name": self.name, "model_version": self.version}
        if request.id is not UNSET:
            response["id"] = request.id
        response["outputs"] = [
            {
                "name": name,
                "datatype": self._datatypes[name],
                "shape": outputs[name].shape,
                "data": outputs[name].ravel().tolist(),
            }
            for name in wanted
        ]
        return msgspec.json.encode(response)

    def _read(self, body: bytes) -> InferenceRequest:
        try:
            request = self._decoder.decode(body)
            # what is optional is not counted: where it is used, the text is read again
            check_keys(body, 1 + 4 * len(request.inputs) + (request.id is not UNSET))
        except (msgspec.DecodeError, DuplicateKeyError, UnicodeDecodeError) as error:
            raise ProtocolError(400, f"the body is not valid: {error}") from None
        except RecursionError:
            raise ProtocolError(400, "the body is not valid: it is nested too deeply") from None
        return request

    def _tensors(self, inputs: list[Input]) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        rows = inputs[0].shape[0] if inputs and inputs[0].shape else 0
        if not 1 <= rows <= MOST_RECORDS:
            raise ProtocolError(400, f"the first dimension of a shape counts the rows: 1 to {MOST_RECORDS:,}")
        for given in inputs:
            column = self._columns.get(given.name)
            if column is None or given.name in tensors:
                what = "stands twice" if column else f"is none of {', '.join(self._columns)}"
                raise ProtocolError(400, f"input {given.name[:100]!r} {what}")
            if given.datatype != column.datatype:
                raise ProtocolError(400, f"input {given.name!r} is {column.datatype}, not {given.datatype[:20]}")
            if given.shape != [rows, 1] and given.shape != [rows]:
                raise ProtocolError(400, f"input {given.name!r}: its shape must be [{rows}, 1], as of all inputs")
            try:
                tensors[given.name] = column.read(given.data, rows)
            except ColumnError as error:
                raise ProtocolError(400, f"input {given.name!r}: {error}") from None
        if len(tensors) != len(self._columns):
            missing = ", ".join(name for name in self._columns if name not in tensors)
            raise ProtocolError(400, f"there is no input {missing}")
        return tensors

    def _wanted(self, request: InferenceRequest) -> list[str]:
        if request.outputs is UNSET or not request.outputs:
            return list(self._datatypes)
        wanted = [output.name for output in request.outputs]
        for name in wanted:
            if name not in self._datatypes:
                raise ProtocolError(400, f"output {name[:100]!r} is none of {', '.join(self._datatypes)}")
        return list(dict.fromkeys(wanted))


class OpenInference:
    """ASGI middleware that answers whatever lies under `/v2`, and leaves all else to the service.

    As a middleware it stands before the service's own routing; as a mounted app, behind it, each request takes a sixth
    longer.
    """

    def __init__(self, app: ASGIApp, models: Callable[[], Models]) -> None:
        """models: returns the loaded models, from when the service is ready"""
        self.app = app
        self._load = models

    @cached_property
    def _models(self) -> dict[str, InferenceModel]:
        return {name: InferenceModel(served) for name, served in self._load().served.items()}

    @cached_property
    def _infer(self) -> dict[str, Callable[[bytes], bytes]]:
        return {
            f"/v2/models/{name}{version}/infer": model.infer
            for name, model in self._models.items()
            for version in ("", f"/versions/{model.version}")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_of_protocol(scope):
            await self.app(scope, receive, send)
            return
        try:
            infer = self._infer.get(scope["path"])
            if infer is None:
                status, body = 200, msgspec.json.encode(self._about(scope["method"], scope["path"]))
            elif scope["method"] != "POST":
                raise ProtocolError(405, "POST an inference request here")
            else:
                message = await receive()
                status, body = 200, infer(message["body"])
        except ProtocolError as error:
            status, body = error.status, msgspec.json.encode({"error": error.error})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _about(self, method: str, path: str) -> dict[str, Any]:
        """What a GET is answered. Raises ProtocolError if there is nothing at the path."""
        if method not in ("GET", "HEAD"):
            raise ProtocolError(405, "only GET is answered here")
        match path.rstrip("/").split("/")[2:]:
            case []:
                return {"name": "slipway", "version": __version__, "extensions": []}
            case ["health", "live"]:
                return {"live": True}
            case ["health", "ready"]:
                if not worker.is_ready:
                    raise ProtocolError(503, "this worker is starting or stopping")
                return {"ready": True}
            case ["models", name, *rest]:
                model = self._models.get(name)
                if model is None:
                    raise ProtocolError(404, f"no model {name[:100]!r}: there is {', '.join(self._models)}")
                if rest[:1] == ["versions"] and len(rest) > 1:
                    if rest[1] != model.version:
                        raise ProtocolError(404, f"{name} is served in version {model.version} alone")
                    rest = rest[2:]
                if rest == []:
                    return model.metadata
                if rest == ["ready"]:
                    return {"name": name, "ready": worker.is_ready}
        raise ProtocolError(404, "nothing is here: see /v2, /v2/health/ready, /v2/models/NAME")
