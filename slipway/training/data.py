"""The data sets: each a CSV file in `data/`, checked against its checksum and its schema before anyone reads it."""

import hashlib
import runpy
from itertools import zip_longest
from pathlib import Path
from typing import Literal, get_args, get_origin

import annotated_types
import pandas as pd
import pandera.pandas as pa
from pydantic.fields import FieldInfo

from slipway.cases import CASES
from slipway.serving.record import Record

DATA = Path(__file__).parents[2] / "data"
CHECKS = {
    annotated_types.Ge: lambda bound: pa.Check.ge(bound.ge),
    annotated_types.Gt: lambda bound: pa.Check.gt(bound.gt),
    annotated_types.Le: lambda bound: pa.Check.le(bound.le),
    annotated_types.Lt: lambda bound: pa.Check.lt(bound.lt),
}


class DataError(Exception):
    """A data set is not the one that the course was written with."""


def column(name: str, field: FieldInfo) -> pa.Column:
    """The pandera column that holds what a field of a record allows."""
    checks = [CHECKS[type(limit)](limit) for limit in field.metadata if type(limit) in CHECKS]
    if get_origin(field.annotation) is Literal:
        return pa.Column(str, pa.Check.isin(get_args(field.annotation)), name=name)
    return pa.Column(field.annotation, checks, coerce=True, name=name)


def schema(row: type[Record]) -> pa.DataFrameSchema:
    """The pandera schema of a data set whose lines are such rows, with the ranges that the service enforces."""
    columns = {name: column(name, field) for name, field in row.model_fields.items()}
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def checksums() -> dict[str, str]:
    """The SHA-256 of each file of `data/`, by name, as `SHA256SUMS` lists them."""
    lines = (DATA / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def load(case: str, path: Path | None = None) -> pd.DataFrame:
    """The data set of a case, one row a line of its CSV file, floats and integers as the case's `row` says.

    Raises DataError, which names the line and the column, if the file is not the one that its checksum was taken of or
    breaks its schema.
    """
    path = path or DATA / f"{case}.csv"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path.name} cannot be read: {error.strerror}. `python data/{case}.py` makes it anew."
        ) from error
    if hashlib.sha256(content).hexdigest() != checksums()[f"{case}.csv"]:
        raise DataError(f"{path.name} was changed: {difference(case, content)}. `python data/{case}.py` makes it anew.")
    # as text, so that the schema sees what stands in the file: "None" is a word, an empty cell is no number
    return validate(pd.read_csv(path, dtype=str, keep_default_na=False), case)


def validate(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """The frame with its columns as numbers and words. Raises DataError at the first cell that breaks the schema."""
    try:
        return schema(CASES[case].row).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        # a cell tells more than a column does, so failures with an index come first
        first = error.failure_cases.sort_values("index", na_position="last", kind="stable").iloc[0]
        if pd.isna(first["index"]):
            raise DataError(f"{case}.csv: {first['check']} fails: {first['failure_case']}") from error
        line = f"line {first['index'] + 2:.0f}"  # the header is line 1
        raise DataError(
            f"{case}.csv, {line}, column {first['column']}: {first['failure_case']} fails {first['check']}"
        ) from error


def difference(case: str, content: bytes) -> str:
    """Where a file first differs from what its script makes: the line, the column, and both texts."""
    rebuilt = runpy.run_path(str(DATA / f"{case}.py"))["build"]()
    expected = rebuilt.to_csv(index=False, lineterminator="\n").splitlines()
    found = content.decode(errors="replace").splitlines()
    for number, (good, bad) in enumerate(zip(expected, found, strict=False), start=1):
        if good != bad:
            cells = zip_longest(rebuilt.columns, good.split(","), bad.split(","))
            name, good, bad = next(cell for cell in cells if cell[1] != cell[2])
            return f"line {number}, column {name}: {bad!r} instead of {good!r}"
    return f"{len(found)} lines instead of {len(expected)}"
