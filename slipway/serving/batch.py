"""The bodies of the typed door: a list of records in, a list of results out."""

from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from slipway.serving.record import Record, example

MOST_RECORDS = 10_000

R = TypeVar("R", bound=Record)
A = TypeVar("A", bound=BaseModel)


def example_batch(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The example of a batch: one record."""
    (record,) = get_args(model.model_fields["records"].annotation)
    schema["example"] = {"records": [example(record)]}


def example_results(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The example of results: one result."""
    (answer,) = get_args(model.model_fields["results"].annotation)
    schema["example"] = example(model) | {"results": [example(get_args(answer)[0])]}


class Batch(BaseModel, Generic[R]):
    """What to predict about."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=example_batch)

    records: list[R] = Field(min_length=1, max_length=MOST_RECORDS, description=f"1 to {MOST_RECORDS:,} records")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`HouseBatch`: the name on the OpenAPI page."""
        return f"{params[0].__name__}Batch"


class Results(BaseModel, Generic[A]):
    """The answers, in the order of the records."""

    model_config = ConfigDict(json_schema_extra=example_results)

    model: str = Field(description="The released model that answered: its name and version", examples=["name:k7wq2u"])
    results: list[SerializeAsAny[A]] = Field(description="One result for each record, in the same order")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`PriceResults`: the name on the OpenAPI page."""
        return f"{params[0].__name__}Results"
