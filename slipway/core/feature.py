"""The features of a record, as its JSON schema tells them: what both APIs take, in one reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from slipway.core.card import Datatype
from slipway.core.record import Record

DATATYPES: dict[str, Datatype] = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}
# what the schema of a value may say: what is checked in both APIs, and what says nothing about its values
RULES = {"type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
WORDS = {"title", "description", "examples"}


@dataclass(frozen=True)
class Feature:
    """One feature of a record.

    rule: the JSON schema of a value: its type, and its range or its words
    is_nullable: whether it may be null: not known, NaN in the tensor
    least, most: how many values it has; both 1 unless it is a list
    """

    name: str
    datatype: Datatype
    rule: dict[str, Any]
    is_nullable: bool = False
    is_list: bool = False
    least: int = 1
    most: int = 1

    @property
    def is_padded(self) -> bool:
        """Whether its lists differ in length, so that zeros at the end fill the shorter ones of a request."""
        return self.least < self.most


def feature(name: str, schema: dict[str, Any]) -> Feature:
    """The feature of a field. schema: the field's part of the JSON schema of its record

    Raises ValueError if that has a rule that the v2 API does not check: the v1 API would refuse what that
    takes.
    """
    said = {key: value for key, value in schema.items() if key not in WORDS}
    is_nullable, is_list, sizes = False, False, {}
    match said:
        case {"anyOf": [{"type": "number"} as value, {"type": "null"}], **others} if not others:
            is_nullable, said = True, value
        case {"type": "array", "items": dict(value), "minItems": least, "maxItems": most, **others} if not others:
            is_list, sizes, said = True, {"least": least, "most": most}, value
    unknown = said.keys() - RULES
    if unknown or said.get("type") not in DATATYPES or (sizes and said["type"] not in ("number", "integer")):
        what = ", ".join(sorted(unknown)) or f"the type {said.get('type')}"
        raise ValueError(f"the field {name}: columns are not checked for {what}")
    return Feature(name, DATATYPES[said["type"]], said, is_nullable, is_list, **sizes)


@cache
def features(record: type[Record]) -> Mapping[str, Feature]:
    """The features of a record, by name, in the order of the model's inputs.

    Read once: the v1 API asks for them with each large body.
    """
    schemas = record.model_json_schema()["properties"]
    return {name: feature(name, schema) for name, schema in schemas.items()}
