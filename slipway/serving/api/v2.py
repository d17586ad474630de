"""The second door: the Open Inference Protocol, version 2, over HTTP and JSON.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md

Columns in, columns out: each becomes an input tensor of the model with one call, where the typed door makes an object
of each record. What is refused is the same at both doors.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway import __version__
from slipway.core.feature import features
from slipway.serving.api.columns import Column, ColumnError
from slipway.serving.api.keys import DuplicateKeyError, check_keys
from slipway.serving.http.limits import MAX_PARAMETERS, MAX_RECORDS
from slipway.serving.http.request import header, is_of_protocol
from slipway.serving.models import Models, Served
from slipway.serving.process import worker

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


class ProtocolError(Exception):
    """A request that cannot be answered: the status, the words for its client, and the methods that a 405 allows."""

    def __init__(self, status: int, error: str, allow: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.allow = allow


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
            raise ProtocolError(400, f"this is {self.name}, not {request.model_name[:100]!r}")
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
            raise ProtocolError(400, f"the body is not valid: {error}") from None
        except RecursionError:
            raise ProtocolError(400, "the body is not valid: it is nested too deeply") from None

    def _check_keys(self, body: bytes, request: InferenceRequest) -> None:
        """Comes last: to read a body again takes long, unless its tensors and outputs are known to be right."""
        try:
            check_keys(body, request.count_keys())
        except DuplicateKeyError as error:
            raise ProtocolError(400, f"the body is not valid: {error}") from None

    def _tensors(self, inputs: list[Input]) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        rows = inputs[0].shape[0] if inputs and inputs[0].shape else 0
        if not 1 <= rows <= MAX_RECORDS:
            raise ProtocolError(400, f"the first dimension of a shape counts the rows: 1 to {MAX_RECORDS:,}")
        for given in inputs:
            column = self._columns.get(given.name)
            if column is None or given.name in tensors:
                what = "stands twice" if column else f"is none of {', '.join(self._columns)}"
                raise ProtocolError(400, f"input {given.name[:100]!r} {what}")
            if given.datatype != column.datatype:
                raise ProtocolError(400, f"input {given.name!r} is {column.datatype}, not {given.datatype[:20]}")
            try:
                tensors[given.name] = column.read(given.data, rows, column.width(given.shape, rows))
            except ColumnError as error:
                raise ProtocolError(400, f"input {given.name!r}: {error}") from None
        if len(tensors) != len(self._columns):
            missing = ", ".join(name for name in self._columns if name not in tensors)
            raise ProtocolError(400, f"there is no input {missing}")
        if len(self._lists) > 1:
            first, *others = (tensors[name] != 0 for name in self._lists)
            if not all(np.array_equal(first, other) for other in others):
                raise ProtocolError(400, f"{', '.join(self._lists)}: the lists of a row must be of one length")
        return tensors

    def _wanted(self, request: InferenceRequest) -> list[str]:
        if request.outputs is UNSET or not request.outputs:
            return list(self._datatypes)
        wanted: list[str] = []
        for output in request.outputs:
            if output.name not in self._datatypes or output.name in wanted:
                what = "stands twice" if output.name in wanted else f"is none of {', '.join(self._datatypes)}"
                raise ProtocolError(400, f"output {output.name[:100]!r} {what}")
            wanted.append(output.name)
        return wanted


class OpenInference:
    """ASGI middleware that answers whatever lies under `/v2`, and leaves all else to the service."""

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
        headers = [(b"content-type", b"application/json")]
        try:
            infer = self._infer.get(scope["path"])
            if infer is not None and scope["method"] == "POST":
                message = await receive()
                try:
                    status, body = 200, infer(message["body"])
                except ProtocolError:
                    if header(scope, BINARY) is not None:
                        raise ProtocolError(415, "binary tensors are not read here: send JSON ones") from None
                    raise
            else:
                status, body = 200, msgspec.json.encode(self._about(scope["method"], scope["path"]))
        except ProtocolError as error:
            status, body = error.status, msgspec.json.encode({"error": error.error})
            if error.allow is not None:
                headers.append((b"allow", error.allow.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _about(self, method: str, path: str) -> dict[str, Any]:
        """What a GET is answered. Raises ProtocolError if there is nothing at the path, or something else to do."""
        answer: dict[str, Any] | None = None
        match path.split("/")[2:]:
            case [] | [""]:
                answer = {"name": "slipway", "version": __version__, "extensions": []}
            case ["health", "live"]:
                answer = {"live": True}
            case ["health", "ready"]:
                answer = {"live": True, "ready": self._ready()}  # the protocol's text says live, its clients ask ready
            case ["models", name, *rest]:
                answer = self._about_model(name, rest)
        if answer is None:
            raise ProtocolError(404, "nothing is here: see /v2, /v2/health/ready, /v2/models/NAME")
        if method not in ("GET", "HEAD"):
            raise ProtocolError(405, "only GET is answered here", allow="GET, HEAD")
        return answer

    def _about_model(self, name: str, rest: list[str]) -> dict[str, Any] | None:
        model = self._models.get(name)
        if model is None:
            raise ProtocolError(404, f"no model {name[:100]!r}: there is {', '.join(self._models)}")
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != model.version:
                raise ProtocolError(404, f"{name} is served in version {model.version} alone")
            rest = rest[2:]
        match rest:
            case []:
                return model.metadata
            case ["ready"]:
                return {"name": name, "ready": self._ready()}
            case ["infer"]:
                raise ProtocolError(405, "POST an inference request here", allow="POST")
        return None

    @staticmethod
    def _ready() -> bool:
        """True. Raises ProtocolError if this worker is not ready: clients look at the status alone."""
        if not worker.is_ready:
            raise ProtocolError(503, "this worker is starting or stopping")
        return True
