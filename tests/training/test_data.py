"""A data set is the one that the course was written with, or it is refused with the line and the column at fault."""

import hashlib
import shutil
from pathlib import Path

import pandas as pd
import pytest

from slipway.cases import CASES
from slipway.training.data import DATA, DataError, checksums, load, made, text, validate

PROGRAMS = {"speech": ("espeak-ng", "flite")}  # what some scripts need and pip does not install
HOUSES = (DATA / "house_price.csv").read_text()


@pytest.mark.parametrize("name", CASES)
def test_its_script_rebuilds_it_byte_for_byte(name):
    missing = [program for program in PROGRAMS.get(name, ()) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} must be installed")
    rebuilt = text(made(name)).encode()
    assert hashlib.sha256(rebuilt).hexdigest() == checksums()[f"{name}.csv"]
    committed = DATA / f"{name}.csv"
    assert not committed.exists() or committed.read_bytes() == rebuilt


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_every_line_is_a_row_of_its_case(case):
    frame = load(case.name)
    assert list(frame.columns) == list(case.row.model_fields)
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        case.row.model_validate(row)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1656,31770", "1657,31770", "line 2, column living_area: '1657' instead of '1656'"),
        ("1656,31770", ",31770", "line 2, column living_area: '' instead of '1656'"),
        ("1656,31770", "1656,5,31770", "line 2, column lot_area: '5' instead of '31770'"),
        ("north_ames,2010,105000", "nort_ames,2010,105000", "line 3, column neighborhood: 'nort_ames' instead of"),
        ("living_area", "area", "line 1, column living_area: 'area' instead of 'living_area'"),
        (HOUSES[-60:], "", "lines? instead of|instead of"),
        (HOUSES, "", "0 lines instead of 2413"),
    ],
)
def test_an_edited_file_is_refused_with_line_and_column(tmp_path: Path, old, new, message):
    edited = tmp_path / "house_price.csv"
    edited.write_text(HOUSES.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load("house_price", edited)


def test_a_missing_file_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot be read: No such file.*python data/fruit.py"):
        load("fruit", tmp_path / "fruit.csv")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("living_area", "9999", r"line 9, column living_area: 9999.* fails less_than\(4000\)"),
        ("living_area", "abc", "line 9, column living_area: abc"),
        ("living_area", "", "line 9, column living_area"),
        ("living_area", "inf", "line 9, column living_area"),
        ("bedrooms", "2.5", "line 9, column bedrooms: 2.5"),
        ("dwelling", "castle", "line 9, column dwelling: castle"),
        ("dwelling", "", "line 9, column dwelling"),
    ],
)
def test_the_schema_names_the_cell_that_breaks_it(column, value, message):
    frame = pd.read_csv(DATA / "house_price.csv", dtype=str, keep_default_na=False)
    frame.loc[7, column] = value
    with pytest.raises(DataError, match=message):
        validate(frame, "house_price")


def test_the_schema_wants_its_columns_and_no_others():
    frame = pd.read_csv(DATA / "house_price.csv", dtype=str, keep_default_na=False)
    with pytest.raises(DataError, match="bedrooms"):
        validate(frame.drop(columns="bedrooms"), "house_price")
    with pytest.raises(DataError, match="colour"):
        validate(frame.assign(colour="red"), "house_price")
