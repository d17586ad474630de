"""Binary tensors: an extension of the Open Inference Protocol that KServe and Triton have.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

The body begins with the JSON, whose length stands in a header. The values of the tensors follow, in the order in which
the JSON names the tensors, each as many bytes as the tensor's parameter `binary_data_size` says. Numbers are
little-endian, a truth value is one byte, and before the bytes of a word stands their number, in four bytes.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

from slipway.core.card import Datatype
from slipway.core.model import DTYPES
from slipway.serving.api.messages import Input, Parameters, ProtocolError, parameter

HEADER = "Inference-Header-Content-Length"
EXTENSION = "binary_tensor_data"  # as the server's metadata name it
SIZE, OUTPUT, ALL_OUTPUTS = "binary_data_size", "binary_data", "binary_data_output"  # parameters

LENGTH = struct.Struct("<I")  # what stands before a word
FORMATS: dict[Datatype, np.dtype] = {
    datatype: np.dtype(dtype).newbyteorder("<") for datatype, dtype in DTYPES.items() if datatype != "BYTES"
}


class BinaryError(ValueError):
    """The bytes of a tensor do not have the form that its datatype and its shape demand."""


def json_size(body: bytes, header: str | None) -> int:
    """How many bytes of a body are JSON. header: what the client says; None if it says nothing, and all of it is.

    Raises ProtocolError if that cannot be.
    """
    if header is None:
        return len(body)
    if not (header.isascii() and header.isdigit() and len(header) <= 10):
        raise ProtocolError(f"{HEADER} must be the number of bytes of the JSON in digits, not {header[:20]!r}")
    size = int(header)
    if size > len(body):
        raise ProtocolError(f"{HEADER} is {size:,}, but the body has {len(body):,} bytes")
    return size


def blobs(inputs: Sequence[Input], body: bytes, start: int) -> dict[str, bytes]:
    """The bytes of each binary tensor, by the tensor's name, of a body whose JSON ends at `start`.

    Raises ProtocolError if sizes and body do not fit together.
    """
    found: dict[str, bytes] = {}
    place = start
    for given in inputs:
        size = parameter(given.parameters, SIZE)
        if size is None:
            continue
        name = given.name[:100]
        if type(size) is not int or size < 0:
            raise ProtocolError(f"input {name!r}: {SIZE} must be a number of bytes, not {str(size)[:20]!r}")
        if bytes(given.data) not in (b"", b"null"):  # KServe's client writes null for a tensor without values
            raise ProtocolError(f"input {name!r} has both data and {SIZE}: give one of them")
        if size > len(body) - place:
            reason = "" if start < len(body) else f": the header {HEADER} says where the JSON ends, and they begin"
            left = len(body) - place
            raise ProtocolError(f"input {name!r}: {SIZE} is {size:,}, but {left:,} bytes of the body are left{reason}")
        found[given.name] = body[place : place + size]
        place += size
    if place != len(body):
        raise ProtocolError(f"{len(body) - place:,} bytes of the body belong to no input: see {SIZE}")
    return found


def read_numbers(blob: bytes, datatype: Datatype, count: int) -> np.ndarray:
    """The numbers or truth values of a blob, in memory of their own: an array of shape (count,).

    Raises BinaryError if it has another size than they take, or a byte is no truth value.
    """
    form = FORMATS[datatype]
    if len(blob) != count * form.itemsize:
        raise BinaryError(f"{len(blob):,} bytes, but its shape and datatype take {count * form.itemsize:,}")
    if datatype == "BOOL" and count and max(blob) > 1:
        raise BinaryError("a truth value is one byte, 0 or 1")
    return np.frombuffer(blob, form).astype(DTYPES[datatype])


def word_to_bytes(word: str) -> bytes:
    """A word as it stands among the bytes of a tensor."""
    text = word.encode()
    return LENGTH.pack(len(text)) + text


def read_words(blob: bytes, count: int, known: Mapping[bytes, str]) -> list[str]:
    """The words of a blob. known: words by their bytes, with those of the length, if these are fewer than 256

    Raises BinaryError unless it holds just as many, in UTF-8.
    """
    words: list[str] = []
    place, end = 0, len(blob)
    while len(words) < count:
        start = place + LENGTH.size
        if start > end:
            raise BinaryError(f"its bytes end after {len(words):,} values, but its shape says {count:,}")
        stop = start + blob[place]  # the first byte is all of the length, or else the word is not found
        word = known.get(blob[place:stop])
        if word is None:
            stop = start + LENGTH.unpack_from(blob, place)[0]
            if stop > end:
                raise BinaryError("its bytes end within a word")
            try:
                word = str(blob[start:stop], "utf-8")
            except UnicodeDecodeError:
                raise BinaryError("a word is not valid UTF-8") from None
        words.append(word)
        place = stop
    if place < end:
        raise BinaryError(f"{end - place:,} bytes are left after {count:,} values")
    return words


def to_bytes(array: np.ndarray, datatype: Datatype) -> bytes:
    """The values of a tensor as bytes."""
    if datatype != "BYTES":
        return array.astype(FORMATS[datatype], copy=False).tobytes()
    words = array.ravel().tolist()
    encoded = {word: word_to_bytes(word) for word in set(words)}
    return b"".join([encoded[word] for word in words])


def is_wanted(parameters: Parameters, name: str, default: bool = False) -> bool:
    """Whether a parameter asks for bytes. default: what holds if it is not given

    Raises ProtocolError if it is no truth value.
    """
    wanted = parameter(parameters, name)
    if wanted is None:
        return default
    if not isinstance(wanted, bool):
        raise ProtocolError(f"the parameter {name} must be true or false, not {str(wanted)[:20]!r}")
    return wanted


def hint(body: bytes, header: str | None) -> str:
    """What to add to the error of a body that is no JSON, if it seems to be JSON and binary tensors."""
    if header is None and SIZE.encode() in body:
        return f" (if binary tensors follow, send the header {HEADER})"
    return ""
