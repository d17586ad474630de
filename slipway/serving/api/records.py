"""The records of a body in one pass, as columns: msgspec checks what pydantic would, without an object a record."""

from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from slipway.core.feature import Feature, features
from slipway.core.record import Record
from slipway.core.rows import Columns
from slipway.serving.api.columns import element
from slipway.serving.api.keys import count_colons
from slipway.serving.http.limits import MAX_RECORD_BYTES, MAX_RECORDS


def value_type(feature: Feature) -> Any:
    """What msgspec must find for a feature: a value, or a list of as many as its rule has."""
    if feature.is_list:
        return Annotated[list[element(feature)], Meta(min_length=feature.least, max_length=feature.most)]  # type: ignore[misc]
    return element(feature)


def has_functions(schema: Any) -> bool:
    """Whether pydantic calls a function of ours when it validates by a core schema, or by a part of one."""
    if isinstance(schema, dict):
        kind = schema.get("type")
        return (isinstance(kind, str) and kind.startswith("function")) or any(map(has_functions, schema.values()))
    return isinstance(schema, list | tuple) and any(map(has_functions, schema))


class Reader:
    """Reads the records of a body where they are valid beyond doubt.

    It may refuse what pydantic takes, but never takes what pydantic refuses, nor reads another value. So it knows no
    record that has a validator of its own, and the JSON schema tells all other rules: `features` raises for a rule that
    it does not know.
    """

    def __init__(self, record: type[Record]) -> None:
        self._names = list(record.model_fields)
        fields = [(name, value_type(feature)) for name, feature in features(record).items()]
        row = msgspec.defstruct(record.__name__, fields, forbid_unknown_fields=True, gc=False)
        rows = Annotated[list[row], Meta(min_length=1, max_length=MAX_RECORDS)]  # type: ignore[valid-type]
        body = msgspec.defstruct("Body", [("records", rows)], forbid_unknown_fields=True, gc=False)
        is_known = not has_functions(record.__pydantic_core_schema__)
        self._decoder: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(body) if is_known else None

    def read(self, body: bytes) -> Columns | None:
        """The values of each feature, in the order of the records; None if pydantic must decide whether it is valid."""
        if self._decoder is None or (len(body) > MAX_RECORD_BYTES and has_large_record(body)):
            return None
        colons = count_colons(body)
        if colons > 1 + MAX_RECORDS * len(self._names):
            return None
        try:
            rows = self._decoder.decode(body).records
        except (ValueError, RecursionError):
            return None
        if colons != 1 + len(rows) * len(self._names):  # a key stands twice: each stands once at least
            return None
        return dict(zip(self._names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))


def has_large_record(body: bytes) -> bool:
    """Whether a record of a valid body has more than MAX_RECORD_BYTES, or may have.

    A record has one `}`, at its end. So one that is too large covers a whole block of half that size without any.
    """
    block = MAX_RECORD_BYTES // 2
    return any(body.find(b"}", start, start + block) < 0 for start in range(0, len(body) - block, block))


@cache
def reader(record: type[Record]) -> Reader:
    """The reader of a record, made once."""
    return Reader(record)
