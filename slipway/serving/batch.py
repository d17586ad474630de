"""The bodies of the typed door: a list of records in, a list of results out."""

from typing import Annotated, Any, Generic, Self, TypeVar, get_args

from bentoml.exceptions import InvalidArgument
from pydantic import BaseModel, ConfigDict, FailFast, Field, SerializeAsAny, ValidationError

from slipway.serving.keys import DuplicateKeyError, check_keys
from slipway.serving.limits import MOST_RECORDS
from slipway.serving.record import Record, example

MOST_PROBLEMS = 1_000  # of a body, that it is told

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

    # the first record that is wrong is enough: to list what is wrong with a thousand takes longer than to answer them
    records: Annotated[list[R], FailFast()] = Field(
        min_length=1, max_length=MOST_RECORDS, description=f"1 to {MOST_RECORDS:,} records"
    )

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """The batch of a body, which BentoML reads so.

        Raises ValidationError for the first record that is wrong, and InvalidArgument for a key that stands twice or
        too many problems to list.
        """
        try:
            batch = super().model_validate_json(json_data, **options)
        except ValidationError as error:
            if error.error_count() > MOST_PROBLEMS:
                raise InvalidArgument(f"the body has {error.error_count():,} problems") from None
            raise
        body = json_data.encode() if isinstance(json_data, str) else bytes(json_data)
        try:
            check_keys(body, 1 + sum(len(record.model_fields_set) for record in batch.records))
        except DuplicateKeyError as error:
            raise InvalidArgument(str(error)) from None
        return batch

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
