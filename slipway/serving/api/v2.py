"""The v2 API: the Open Inference Protocol, version 2, over HTTP, with JSON and with binary tensors.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md

Columns in, columns out: each becomes an input tensor of the model with one call, where the v1 API makes an object of
each record. Both APIs refuse the same. A request is read in the fast way if that takes it, and otherwise in the way
that can say what is wrong with it.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway import __version__
from slipway.core.feature import features
from slipway.serving.api import binary
from slipway.serving.api.columns import Column, ColumnError
from slipway.serving.api.fast import FastReader
from slipway.serving.api.keys import DuplicateKeyError, check_keys
from slipway.serving.api.messages import InferenceRequest, Input, ProtocolError, keys_of
from slipway.serving.http.limits import MAX_RECORDS
from slipway.serving.http.request import is_of_protocol
from slipway.serving.models import Models, Served
from slipway.serving.process import worker

JSON_SIZE = binary.HEADER.lower().encode()


def with_null(body: bytes) -> bytes:
    """The body with null for each NaN that is not in a string; as it is if a string has an escape.

    JSON has no NaN, but Triton's client writes what NumPy has for a value that is not known.
    """
    if b"\\" in body:  # where strings end is not to be seen at once
        return body
    parts = body.split(b'"')
    parts[::2] = [part.replace(b"NaN", b"null") for part in parts[::2]]
    return b'"'.join(parts)


class InferenceModel:
    """One model, as the protocol sees it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.name, _, self.version = served.model.tag.partition(":")
        about = features(served.case.record)
        self._columns = {name: Column(feature) for name, feature in about.items()}
        self._is_nullable = any(feature.is_nullable for feature in about.values())
        self._lists = [name for name, feature in about.items() if feature.is_padded]
        self._datatypes = {output.name: output.datatype for output in served.model.card.outputs}
        self._decoder = msgspec.json.Decoder(InferenceRequest)
        has_lists = any(feature.is_list for feature in about.values())
        self._fast = None if has_lists else FastReader(self.name, about)

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

    def infer(self, body: bytes, header_length: str | None = None) -> tuple[bytes, int | None]:
        """The response to an inference request, and how many of its bytes are JSON; None if all of them are.

        header_length: the request's header `Inference-Header-Content-Length`, if it has one

        Raises ProtocolError if the request is not valid.
        """
        read = None
        if header_length is None and self._fast is not None:
            read = self._fast.read(body)
        request, tensors = read or self.read(body, header_length)
        wanted = self._wanted(request)
        outputs = self.served.run(tensors)
        answer: dict[str, Any] = {"model_name": self.name, "model_version": self.version}
        if isinstance(request.id, str):
            answer["id"] = request.id
        answer["outputs"] = told = []
        blobs: list[bytes] = []
        for name, is_binary in wanted.items():
            array = outputs[name]
            output: dict[str, Any] = {"name": name, "datatype": self._datatypes[name], "shape": array.shape}
            if is_binary:
                blobs.append(binary.to_bytes(array, self._datatypes[name]))
                output["parameters"] = {binary.SIZE: len(blobs[-1])}
            else:
                output["data"] = array.ravel().tolist()
            told.append(output)
        json = msgspec.json.encode(answer)
        return (b"".join([json, *blobs]), len(json)) if blobs else (json, None)

    def read(self, body: bytes, header_length: str | None = None) -> tuple[InferenceRequest, dict[str, np.ndarray]]:
        """The request and its tensors, by name, of shape (rows, values in a row).

        Raises ProtocolError, which says what is wrong, if it is not valid.
        """
        size = binary.json_size(body, header_length)
        json = body[:size]
        request = self._decode(json, binary.hint(body, header_length))
        if request.model_name is not msgspec.UNSET and request.model_name != self.name:
            raise ProtocolError(400, f"this is {self.name}, not {request.model_name[:100]!r}")
        blobs = binary.blobs(request.inputs, body, size)
        tensors = self._tensors(request.inputs, blobs)
        # comes last: it takes long to read a body again, so its tensors must be known to be right
        of_inputs = sum(3 + (len(bytes(each.data)) > 0) + keys_of(each.parameters) for each in request.inputs)
        try:
            check_keys(json, request.count_keys(of_inputs))
        except DuplicateKeyError as error:
            raise ProtocolError(400, f"the body is not valid: {error}") from None
        return request, tensors

    def _decode(self, json: bytes, hint: str) -> InferenceRequest:
        try:
            return self._decoder.decode(json)
        except ValueError as error:  # of msgspec, or of bytes that are no UTF-8
            if self._is_nullable and b"NaN" in json and (null := with_null(json)) != json:
                return self._decode(null, hint)
            raise ProtocolError(400, f"the body is not valid: {error}{hint}") from None
        except RecursionError:
            raise ProtocolError(400, "the body is not valid: it is nested too deeply") from None

    def _tensors(self, inputs: Sequence[Input], blobs: dict[str, bytes]) -> dict[str, np.ndarray]:
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
                width = column.width(given.shape, rows)
                if given.name in blobs:
                    tensors[given.name] = column.read_binary(blobs[given.name], rows, width)
                elif bytes(given.data):
                    tensors[given.name] = column.read(given.data, rows, width)
                else:
                    raise ProtocolError(400, f"input {given.name!r} has neither data nor {binary.SIZE}")
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

    def _wanted(self, request: InferenceRequest) -> dict[str, bool]:
        """The outputs that the client wants, in its order, and whether it wants them as bytes."""
        is_binary = binary.is_wanted(request.parameters, binary.ALL_OUTPUTS)
        if not request.outputs:
            return dict.fromkeys(self._datatypes, is_binary)
        wanted: dict[str, bool] = {}
        for output in request.outputs:
            if output.name not in self._datatypes or output.name in wanted:
                what = "stands twice" if output.name in wanted else f"is none of {', '.join(self._datatypes)}"
                raise ProtocolError(400, f"output {output.name[:100]!r} {what}")
            wanted[output.name] = binary.is_wanted(output.parameters, binary.OUTPUT, is_binary)
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
    def _infer(self) -> dict[str, Callable[[bytes, str | None], tuple[bytes, int | None]]]:
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
                sizes = [str(value, "latin-1") for name, value in scope["headers"] if name == JSON_SIZE]
                body, json_size = infer(message["body"], ", ".join(sizes) if sizes else None)
                status = 200
                if json_size is not None:
                    headers = [(b"content-type", b"application/octet-stream"), (JSON_SIZE, b"%d" % json_size)]
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
                answer = {"name": "slipway", "version": __version__, "extensions": [binary.EXTENSION]}
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
