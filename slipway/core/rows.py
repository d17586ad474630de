"""Columns that can be read as rows: records on their way to a model, answers on their way from it."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from pydantic import BaseModel
from pydantic_core import SchemaSerializer, core_schema

Columns = Mapping[str, Sequence[Any]]
M = TypeVar("M", bound=BaseModel)


class Rows(Sequence[M], Generic[M]):
    """Objects of a pydantic model, each made, and validated, when it is asked for.

    A model reads columns and answers with columns. To make a thousand objects in between would take longer than the
    model itself does, so they are made only for the person who looks at them one by one.
    """

    # pydantic writes them as the list that they stand for, in a field that is `SerializeAsAny`
    __pydantic_serializer__ = SchemaSerializer(
        core_schema.any_schema(serialization=core_schema.plain_serializer_function_ser_schema(list))
    )

    def __init__(self, model: type[M], columns: Columns) -> None:
        """columns: n values for each field of the model

        Raises ValueError unless there is a column for each field, and for nothing else, and all are of one length.
        """
        if columns.keys() != model.model_fields.keys():
            raise ValueError(
                f"columns for {', '.join(columns)}, but {model.__name__} has {', '.join(model.model_fields)}"
            )
        lengths = set(map(len, columns.values()))
        if len(lengths) > 1:
            raise ValueError(f"the columns of {model.__name__} have {', '.join(map(str, sorted(lengths)))} values")
        self.model = model
        self.columns = columns

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: int | slice) -> M | list[M]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return self.model.model_validate({name: values[index] for name, values in self.columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))
