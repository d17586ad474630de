"""The data sets: each a CSV file in `data/`, checked against its checksum and its schema before anyone reads it.

One whose licence forbids to pass it on has no file: its script makes it in memory, from a package, and the same checks
hold.
"""

import hashlib
import io
import runpy
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
import numpy as np
import pandas as pd
import pandera.pandas as pa
from pydantic.fields import FieldInfo

from slipway.cases import CASES
from slipway.core.case import Case
from slipway.core.record import Record
from slipway.training.difference import first_difference, normalised

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
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return pa.Column(str, pa.Check.isin(get_args(kind)), name=name)
    if NoneType in get_args(kind):
        (kind,) = set(get_args(kind)) - {NoneType}
        return pa.Column(kind, checks, coerce=True, nullable=True, name=name)
    if get_origin(kind) is list:
        (least,) = (limit.min_length for limit in field.metadata if isinstance(limit, annotated_types.MinLen))
        (most,) = (limit.max_length for limit in field.metadata if isinstance(limit, annotated_types.MaxLen))
        fits = pa.Check(
            lambda cell: isinstance(cell, list) and least <= len(cell) <= most,
            element_wise=True,
            error=f"{least} to {most} numbers",
        )
        return pa.Column(object, fits, name=name)
    return pa.Column(kind, checks, coerce=True, name=name)


def numbers(cell: str) -> list[float] | str:
    """The numbers of a cell, which spaces part; the cell as it is if they are none."""
    try:
        return [float(word) for word in cell.split(" ")]
    except ValueError:
        return cell


def schema(row: type[Record]) -> pa.DataFrameSchema:
    """The pandera schema of a data set whose lines are such rows, with the ranges that the service enforces."""
    columns = {name: column(name, field) for name, field in row.model_fields.items()}
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def checksums() -> dict[str, str]:
    """The SHA-256 of each file of `data/`, by name, as `SHA256SUMS` lists them."""
    lines = (DATA / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def listed(case: str) -> str:
    """The checksum of a case's data set, from `SHA256SUMS`. Raises DataError if it has none."""
    try:
        return checksums()[f"{case}.csv"]
    except KeyError:
        raise DataError(
            f"data/SHA256SUMS has no line for {case}.csv: add it, in data/, with `sha256sum {case}.csv >> SHA256SUMS`."
        ) from None


def checksum(case: Case, frame: pd.DataFrame) -> str:
    """The SHA-256 of data for a case: the listed one if they are the case's data set, otherwise that of their CSV text.

    A data set loses how its numbers were written when it is loaded, so that its file's checksum cannot be had from the
    frame alone. Columns that no row of the case has, as a notebook adds them, do not count, nor does the index.
    """
    columns = list(case.row.model_fields)
    if not set(columns) <= set(frame.columns):
        return hashlib.sha256(text(frame).encode()).hexdigest()
    content = text(frame[columns])
    with suppress(DataError):  # what the data set would be is not known then, so these data are not known to be it
        if content == text(load(case.name)):
            return listed(case.name)
    return hashlib.sha256(content.encode()).hexdigest()


def load(case: str, path: Path | None = None) -> pd.DataFrame:
    """The data set of a case, one row a line of its CSV file, floats and integers as the case's `row` says.

    path: of another file than the case's own

    Raises DataError, which names the line and the column, if the file is not the one that its checksum was taken of or
    breaks its schema.
    """
    given, path = path, path or DATA / f"{case}.csv"
    try:
        content = path.read_bytes() if path.exists() or given else text(made(case)).encode()
    except OSError as error:
        raise DataError(
            f"{path.name} cannot be read: {error.strerror or error}. `python data/{case}.py` makes it anew."
        ) from error
    if hashlib.sha256(content).hexdigest() != listed(case):
        raise DataError(f"{path.name} was changed: {difference(case, content)}. `python data/{case}.py` makes it anew.")
    # as text, so that the schema sees what stands in the file: "None" is a word, an empty cell is no number
    return validate(pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False), case)


def validate(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """The frame with its columns as numbers, words and lists; an empty cell is NaN where the row's field may be None.

    Raises DataError at the first cell that breaks the schema.
    """
    read = {}
    for name, field in CASES[case].row.model_fields.items():
        if name in frame and get_origin(field.annotation) is list:
            read[name] = frame[name].map(numbers)
        elif name in frame and NoneType in get_args(field.annotation):
            read[name] = frame[name].replace("", np.nan)
    frame = frame.assign(**read)
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


def made(case: str) -> pd.DataFrame:
    """The data set as its script makes it."""
    frame: pd.DataFrame = runpy.run_path(str(DATA / f"{case}.py"))["build"]()
    return frame


def text(frame: pd.DataFrame) -> str:
    """What stands in the CSV file of a data set."""
    return frame.to_csv(index=False, lineterminator="\n")


def difference(case: str, content: bytes) -> str:
    """How a file differs from the data set: in its encoding or line ends, or where the first line differs."""
    plain, said = normalised(content)
    if hashlib.sha256(plain).hexdigest() == listed(case):
        return " and ".join(said)  # also where the programs are missing that its script needs
    try:
        rebuilt = made(case)
    except OSError as error:
        return " and ".join([*said, f"where else, cannot be said here ({error})"])
    expected, found = text(rebuilt).split("\n"), plain.decode().split("\n")
    where = first_difference(list(rebuilt.columns), expected[:-1], found[:-1])
    return " and ".join([*said, where or "its script makes the same file, so that data/SHA256SUMS is wrong"])
