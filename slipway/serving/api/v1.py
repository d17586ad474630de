"""The bodies of the v1 API: a list of records in, a list of results out."""

from functools import cache
from typing import Annotated, Any, Generic, Self, TypeVar, get_args

import msgspec
from bentoml import IODescriptor
from bentoml.exceptions import InvalidArgument
from pydantic import BaseModel, ConfigDict, FailFast, Field, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from slipway.core.feature import features
from slipway.core.record import Record, example
from slipway.core.rows import Rows
from slipway.serving.api.keys import DuplicateKeyError, check_keys
from slipway.serving.api.records import reader
from slipway.serving.http.limits import MAX_RECORD_BYTES, MAX_RECORDS

MAX_PROBLEMS = 1_000  # of a body, that it is told

R = TypeVar("R", bound=Record)
A = TypeVar("A", bound=BaseModel)


def example_batch(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The example of a batch: one record."""
    (record,) = get_args(model.model_fields["records"].annotation)
    schema["example"] = {"records": [example(record)]}


def example_results(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The example of results: one result."""
    (answer,) = get_args(model.model_fields["results"].annotation)
    schema["example"] = example(model) | {"results": [example(answer)]}


class RawBatch(msgspec.Struct, forbid_unknown_fields=True):
    """A body of which no more is read than where its records begin and end."""

    records: list[msgspec.Raw]


RAW_BATCH = msgspec.json.Decoder(RawBatch)


def check_sizes(body: bytes, title: str, values: int) -> None:
    """Raises ValidationError for too many records and for one too large, without a look at what they say.

    Pydantic reads all of a record to list all that is wrong with it, several times over: a megabyte of unknown fields
    would block the event loop for half a second.

    values: that a record may have
    """
    if body.count(b",") > 4 * MAX_RECORDS * values:  # one to a value, and some that stand in words
        raise invalid(title, ("records",), f"List should have at most {MAX_RECORDS} items of {values} values")
    try:
        records = RAW_BATCH.decode(body).records
    except (ValueError, RecursionError) as error:
        raise invalid(title, (), f"Invalid JSON, or not a list of records: {error}"[:300]) from None
    if len(records) > MAX_RECORDS:
        raise invalid(title, ("records",), f"List should have at most {MAX_RECORDS} items, not {len(records)}")
    for position, record in enumerate(records):
        if (size := len(bytes(record))) > MAX_RECORD_BYTES:
            problem = f"A record should have at most {MAX_RECORD_BYTES} bytes, not {size}"
            raise invalid(title, ("records", position), problem)


def invalid(title: str, where: tuple[int | str, ...], problem: str) -> ValidationError:
    """A problem, in the shape of those that pydantic finds."""
    said = PydanticCustomError("body", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data(title, [InitErrorDetails(type=said, loc=where, input=None)])


class Batch(IODescriptor, Generic[R]):
    """What to predict about."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=example_batch)

    # the first record that is wrong is enough: to list what is wrong with a thousand takes longer than to answer them
    records: Annotated[list[R], FailFast(), SerializeAsAny()] = Field(
        min_length=1, max_length=MAX_RECORDS, description=f"1 to {MAX_RECORDS:,} records"
    )

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """What BentoML calls the method with. The front lets no other kind of body in: `serde` is not asked."""
        return cls.model_validate_json(await request.body() or b"{}")  # which lacks records, as BentoML has it

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """The batch of a body. Its records are `Rows`, unless pydantic had to read them.

        Raises ValidationError for the first record that is wrong, and InvalidArgument for a key that stands twice or
        too many problems to list.
        """
        body = json_data.encode() if isinstance(json_data, str) else bytes(json_data)
        (record,) = get_args(cls.model_fields["records"].annotation)
        if not options and (columns := reader(record).read(body)) is not None:
            batch: Self = cls.model_construct(records=Rows(record, columns))
            return batch
        if len(body) > MAX_RECORD_BYTES:
            check_sizes(body, cls.__name__, sum(feature.most for feature in features(record).values()))
        try:
            batch = super().model_validate_json(json_data, **options)
        except ValidationError as error:
            if error.error_count() > MAX_PROBLEMS:
                raise InvalidArgument(f"the body has {error.error_count():,} problems") from None
            raise
        try:
            check_keys(body, 1 + sum(len(record.model_fields_set) for record in batch.records))
        except DuplicateKeyError as error:
            raise InvalidArgument(str(error)) from None
        return batch

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`HouseBatch`: the name on the OpenAPI page."""
        return f"{params[0].__name__}Batch"


@cache
def row_type(model: type[BaseModel]) -> type[msgspec.Struct]:
    """A model's fields for msgspec, to write them in their order."""
    return msgspec.defstruct(model.__name__, list(model.model_fields), gc=False)


class Results(IODescriptor, Generic[A]):
    """The answers, in the order of the records."""

    model_config = ConfigDict(json_schema_extra=example_results)

    model: str = Field(description="The released model that answered: its name and version", examples=["name:k7wq2u"])
    results: SerializeAsAny[list[A]] = Field(description="One result for each record, in the same order")

    @classmethod
    async def to_http_response(cls, obj: Self, serde: Any) -> Response:
        """What BentoML makes of what the method returns."""
        return Response(obj.body(), media_type="application/json")

    def body(self) -> bytes:
        """The results in JSON, from columns if they have some: without an object a record."""
        if not isinstance(self.results, Rows):
            return str(self.model_dump_json()).encode()
        model: type[BaseModel] = self.results.model
        columns = (self.results.columns[name] for name in model.model_fields)
        return msgspec.json.encode({"model": self.model, "results": list(map(row_type(model), *columns))})

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`PriceResults`: the name on the OpenAPI page."""
        return f"{params[0].__name__}Results"
