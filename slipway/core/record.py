"""What one record sent to the service must look like."""

from typing import Any

from pydantic import BaseModel, ConfigDict


def example(model: type[BaseModel]) -> dict[str, Any]:
    """One valid object, made of the first example of each field. Fields without an example are left out."""
    return {name: field.examples[0] for name, field in model.model_fields.items() if field.examples}


def add_example(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the example into a JSON schema under the key that the OpenAPI page offers to send."""
    schema["example"] = example(model)


class Record(BaseModel):
    """One thing to predict about: a house, a fruit.

    A subclass lists its features as fields, in the order of the model's inputs. A `float` field becomes an FP64
    tensor, an `int` an INT64 one and a `Literal` of words a tensor of strings. Units stand in the descriptions, ranges
    in `ge` and `le`, and each field has an example.

    A field `float | None` must be there as well, and is null where nobody knows it: NaN for the model. A field
    `list[float]` or `list[int]` with a `min_length` and a `max_length` becomes one tensor with a column for each
    place. Where the two differ, zeros at the end fill the shorter lists of a request, so no value may be 0; and all
    such lists of a record are of one length.

    Nothing is guessed: a field too many, a string or a truth value for a number, NaN and infinity are refused.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra=add_example)
