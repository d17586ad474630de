"""The messages of the Open Inference Protocol, as a client writes them.

A field that need not be there may also be null, which means the same: some clients write all the fields they know.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from slipway.serving.http.limits import MAX_PARAMETERS

Values = Annotated[dict[str, str | bool | int | float], Meta(max_length=MAX_PARAMETERS)]
Parameters = Values | UnsetType | None


class ProtocolError(ValueError):
    """An inference request that is not valid: in words for its client."""


class Input(Struct, forbid_unknown_fields=True):
    """An input tensor. Its data are empty if they are not in the JSON but in the binary part of the body."""

    name: str
    shape: list[int]
    datatype: str
    data: Raw = Raw()
    parameters: Parameters = UNSET


class RequestedOutput(Struct, forbid_unknown_fields=True):
    """An output that the client wants."""

    name: str
    parameters: Parameters = UNSET


class InferenceRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a request, or its first part if binary tensors follow.

    The protocol has no `model_name` here, but KServe's and Triton's documents and clients have one.
    """

    inputs: list[Input]
    id: str | UnsetType | None = UNSET
    model_name: str | UnsetType = UNSET
    outputs: list[RequestedOutput] | UnsetType | None = UNSET
    parameters: Parameters = UNSET

    def count_keys(self, of_inputs: int) -> int:
        """How many keys were read. of_inputs: how many of them are those of the inputs"""
        count = 1 + of_inputs + (self.id is not UNSET) + (self.model_name is not UNSET)
        count += keys_of(self.parameters)
        if self.outputs is not UNSET:
            count += 1
            for output in self.outputs or ():
                count += 1 + keys_of(output.parameters)
        return count


def keys_of(parameters: Parameters) -> int:
    """How many keys parameters make, with their own name."""
    if parameters is UNSET:
        return 0
    return 1 + len(parameters or ())


def parameter(parameters: Parameters, name: str) -> str | bool | int | float | None:
    """The value of a parameter; None if it is not given."""
    return parameters.get(name) if parameters else None
