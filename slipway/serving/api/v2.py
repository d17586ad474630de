"""The v2 API: the Open Inference Protocol, version 2, over HTTP and JSON.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md

Columns in, columns out: each becomes an input tensor of the model with one call, where the v1 API reads records. What
is refused is the same in both.
"""

from functools import cached_property, partial
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.responses import JSONResponse, Response

from slipway import __version__
from slipway.core.feature import features
from slipway.serving.api.columns import Column, ColumnError
from slipway.serving.api.keys import DuplicateKeyError, check_keys
from slipway.serving.http.errors import Refusal
from slipway.serving.http.limits import MAX_PARAMETERS, MAX_RECORDS
from slipway.serving.http.media import check_json
from slipway.serving.http.request import Request
from slipway.serving.http.routes import Route
from slipway.serving.models import Models, Served
from slipway.serving.process import Worker

BINARY = b"inference-header-content-length"  # that of a body with binary tensors, an extension of Triton's and KServe's
Parameters = Annotated[dict[str, str | bool | int | float], Meta(max_length=MAX_PARAMETERS)] | UnsetType


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
    """The body of a request. Parameters ask for extensions; this server has none and may ignore them.

    The protocol has no `model_name` here, but KServe's client sends one.
    """

    inputs: list[Input]
    id: str | UnsetType = UNSET
    model_name: str | UnsetType = UNSET
    outputs: list[RequestedOutput] | UnsetType = UNSET
    parameters: Parameters = UNSET

    def count_keys(self) -> int:
        """How many keys were read, but for those of its inputs' parameters, which no client is known to send."""
        count = 1 + 4 * len(self.inputs) + (self.id is not UNSET) + (self.model_name is not UNSET)
        if self.parameters is not UNSET:
            count += 1 + len(self.parameters)
        if self.outputs is not UNSET:
            count += 1 + len(self.outputs)
            for output in self.outputs:
                if output.parameters is not UNSET:
                    count += 1 + len(output.parameters)
        return count


def with_null(body: bytes) -> bytes:
    """The body with null for each NaN that is not in a string; as it is if a string has an escape.

    JSON has no NaN, but Triton's client writes what NumPy has for a value that is not known.
    """
    if b"\\" in body:  # where strings end is not to be seen at once
        return body
    parts = body.split(b'"')
    parts[::2] = [part.replace(b"NaN", b"null") for part in parts[::2]]
    return b'"'.join(parts)


class ProtocolError(ValueError):
    """An inference request that is not valid: in words for its client."""


class InferenceModel:
    """One model, as the protocol sees it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.name, _, self.version = served.model.tag.partition(":")
        self._columns = {name: Column(feature) for name, feature in features(served.case.record).items()}
        self._is_nullable = any(column.feature.is_nullable for column in self._columns.values())
        self._lists = [name for name, column in self._columns.items() if column.feature.is_padded]
        self._datatypes = {output.name: output.datatype for output in served.model.card.outputs}
        self._decoder = msgspec.json.Decoder(InferenceRequest)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the model takes and answers; -1 stands for any number of rows, or of values in a list."""
        inputs = [
            {
                "name": name,
                "datatype": column.datatype,
                "shape": [-1, -1 if column.feature.is_padded else column.feature.most],
            }
            for name, column in self._columns.items()
        ]
        outputs = [
            {"name": name, "datatype": self._datatypes[name], "shape": shape}
            for name, shape in self.served.model.output_shapes.items()
        ]
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "onnx_onnxv1",  # one of the names that the protocol allows
            "inputs": inputs,
            "outputs": outputs,
        }

    def infer(self, body: bytes) -> bytes:
        """The response to an inference request. Raises ProtocolError if it is not valid."""
        request = self._read(body)
        if request.model_name is not UNSET and request.model_name != self.name:
            raise ProtocolError(f"this is {self.name}, not {request.model_name[:100]!r}")
        tensors = self._tensors(request.inputs)
        wanted = self._wanted(request)
        self._check_keys(body, request)
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
            return self._decoder.decode(body)
        except ValueError as error:  # of msgspec, or of bytes that are no UTF-8
            if self._is_nullable and b"NaN" in body and (null := with_null(body)) != body:
                return self._read(null)
            raise ProtocolError(f"the body is not valid: {error}") from None
        except RecursionError:
            raise ProtocolError("the body is not valid: it is nested too deeply") from None

    def _check_keys(self, body: bytes, request: InferenceRequest) -> None:
        """Comes last: to read a body again takes long, unless its tensors and outputs are known to be right."""
        try:
            check_keys(body, request.count_keys())
        except DuplicateKeyError as error:
            raise ProtocolError(f"the body is not valid: {error}") from None

    def _tensors(self, inputs: list[Input]) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        rows = inputs[0].shape[0] if inputs and inputs[0].shape else 0
        if not 1 <= rows <= MAX_RECORDS:
            raise ProtocolError(f"the first dimension of a shape counts the rows: 1 to {MAX_RECORDS:,}")
        for given in inputs:
            column = self._columns.get(given.name)
            if column is None or given.name in tensors:
                what = "stands twice" if column else f"is none of {', '.join(self._columns)}"
                raise ProtocolError(f"input {given.name[:100]!r} {what}")
            if given.datatype != column.datatype:
                raise ProtocolError(f"input {given.name!r} is {column.datatype}, not {given.datatype[:20]}")
            try:
                tensors[given.name] = column.read(given.data, rows, column.width(given.shape, rows))
            except ColumnError as error:
                raise ProtocolError(f"input {given.name!r}: {error}") from None
        if len(tensors) != len(self._columns):
            missing = ", ".join(name for name in self._columns if name not in tensors)
            raise ProtocolError(f"there is no input {missing}")
        if len(self._lists) > 1:
            first, *others = (tensors[name] != 0 for name in self._lists)
            if not all(np.array_equal(first, other) for other in others):
                raise ProtocolError(f"{', '.join(self._lists)}: the lists of a row must be of one length")
        return tensors

    def _wanted(self, request: InferenceRequest) -> list[str]:
        if request.outputs is UNSET or not request.outputs:
            return list(self._datatypes)
        wanted: list[str] = []
        for output in request.outputs:
            if output.name not in self._datatypes or output.name in wanted:
                what = "stands twice" if output.name in wanted else f"is none of {', '.join(self._datatypes)}"
                raise ProtocolError(f"output {output.name[:100]!r} {what}")
            wanted.append(output.name)
        return wanted


class OpenInference:
    """The protocol over HTTP: what is answered at each of its paths."""

    def __init__(self, models: Models, worker: Worker) -> None:
        self._models = {name: InferenceModel(served) for name, served in models.served.items()}
        self._worker = worker

    @property
    def routes(self) -> dict[str, Route]:
        """The routes of the server and of each model, which can also be asked for by its version."""
        routes = {
            "/v2": Route(self._server),
            "/v2/": Route(self._server),
            "/v2/health/live": Route(self._live),
            "/v2/health/ready": Route(self._ready),
        }
        for name, model in self._models.items():
            for version in ("", f"/versions/{model.version}"):
                path = f"/v2/models/{name}{version}"
                routes[path] = Route(partial(self._metadata, model))
                routes[f"{path}/ready"] = Route(partial(self._model_ready, name))
                routes[f"{path}/infer"] = Route(partial(self._infer, model), methods=("POST",))
        return routes

    async def unknown(self, request: Request, body: bytes) -> Response:
        """Raises Refusal, with 404, that says what there is."""
        match request.path.split("/")[2:]:
            case ["models", name, *_] if name not in self._models:
                raise Refusal(404, f"no model {name[:100]!r}: there is {', '.join(self._models)}")
            case ["models", name, "versions", version, *_] if version != self._models[name].version:
                raise Refusal(404, f"{name} is served in version {self._models[name].version} alone")
        raise Refusal(404, "nothing is here: see /v2, /v2/health/ready, /v2/models/NAME")

    async def _infer(self, model: InferenceModel, request: Request, body: bytes) -> Response:
        if request.header(BINARY) is None:
            check_json(request)
        try:
            return Response(model.infer(body), media_type="application/json")
        except ProtocolError as error:
            if request.header(BINARY) is not None:
                raise Refusal(415, "binary tensors are not read here: send JSON ones") from None
            raise Refusal(400, str(error)) from None

    async def _server(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"name": "slipway", "version": __version__, "extensions": []})

    async def _live(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, request: Request, body: bytes) -> Response:
        self._check_ready()
        return JSONResponse({"live": True, "ready": True})  # the protocol's text says live, its clients ask ready

    async def _metadata(self, model: InferenceModel, request: Request, body: bytes) -> Response:
        return JSONResponse(model.metadata)

    async def _model_ready(self, name: str, request: Request, body: bytes) -> Response:
        self._check_ready()
        return JSONResponse({"name": name, "ready": True})

    def _check_ready(self) -> None:
        """Raises Refusal, with 503, if this worker is not ready: clients look at the status alone."""
        if not self._worker.is_ready:
            raise Refusal(503, "this worker is starting or stopping")
