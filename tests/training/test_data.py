"""A data set is the one that the course was written with, or it is refused with the line and the column at fault."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.cases import CASES
from slipway.training.data import DATA, DataError, checksum, checksums, load, made, text, validate

ROOT = Path(__file__).parents[2]
PROGRAMS = {"speech": ("espeak-ng", "flite")}  # what some scripts need and pip does not install
HOUSES = (DATA / "house_price.csv").read_text()
LINES = HOUSES.splitlines(keepends=True)
FRUIT = (DATA / "fruit.csv").read_bytes()


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


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_a_data_set_that_is_loaded_has_its_checksum_and_an_edited_one_has_not(case):
    frame, listed = load(case.name), checksums()[f"{case.name}.csv"]
    assert checksum(case, frame.assign(fold=0).set_index(frame.index + 7)) == listed
    assert checksum(case, frame.drop(index=5)) != listed
    for column in {frame.columns[0], frame.columns[2], case.target}:
        edited, value = frame.copy(), frame.at[3, column]
        edited.at[3, column] = value + 1 if pd.api.types.is_number(value) else value + value  # a word, or a list
        assert checksum(case, edited) != listed, column


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1656,31770", "1657,31770", "line 2, column living_area: '1657' instead of '1656'"),
        ("1656,31770", ",31770", "line 2, column living_area: '' instead of '1656'"),
        ("1656,31770", "1656,5,31770", "line 2, column lot_area: '5' instead of '31770'"),
        ("north_ames,2010,105000", "nort_ames,2010,105000", "line 3, column neighborhood: 'nort_ames' instead of"),
        ("living_area", "area", "line 1, column living_area: 'area' instead of 'living_area'"),
        ("1656,31770", '"1656",31770', r"line 2: '\"1656\",31770.*' instead of '1656,31770"),
        ("105000\n", "105000,1\n", "line 3, column after the last: '1' instead of None"),
        (LINES[4], "", "line 5 is missing: 2412 lines instead of 2413"),
        ("".join(LINES[4:9]), "", "lines 5 to 9 are missing: 2408 lines instead of 2413"),
        (LINES[4], LINES[4] + "some,more\n", "line 6 is too many: 2414 lines instead of 2413"),
        (LINES[-1], "", "line 2413 is missing: 2412 lines instead of 2413"),
        (HOUSES, "", "lines 1 to 2413 are missing: 0 lines instead of 2413"),
    ],
)
def test_an_edited_file_is_refused_with_line_and_column(tmp_path: Path, old, new, message):
    edited = tmp_path / "house_price.csv"
    edited.write_text(HOUSES.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load("house_price", edited)


# what Git, Excel or an editor does to a file unasked
FORMS = {
    "CR LF": (lambda lines: lines.replace(b"\n", b"\r\n"), "its lines end in CR LF instead of LF"),
    "CR": (lambda lines: lines.replace(b"\n", b"\r"), "its lines end in CR instead of LF"),
    "one CR LF": (lambda lines: lines.replace(b"\n", b"\r\n", 1), "its lines end in CR LF instead of LF"),
    "no last newline": (lambda lines: lines[:-1], "its last line has no line end"),
    "empty lines": (lambda lines: lines + b"\n\n", "empty lines follow its last line"),
    "byte order mark": (lambda lines: b"\xef\xbb\xbf" + lines, "it begins with a byte order mark"),
    "UTF-16": (lambda lines: lines.decode().encode("utf-16"), "it is encoded in UTF-16 instead of UTF-8"),
    "Excel": (
        lambda lines: b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"),
        "it begins with a byte order mark and its lines end in CR LF instead of LF",
    ),
    "CR LF and a digit": (
        lambda lines: lines.replace(b"\n", b"\r\n").replace(b"245,97", b"246,97"),
        "its lines end in CR LF instead of LF and line 2, column weight: '246' instead of '245'",
    ),
    "Windows-1252": (
        lambda lines: lines.replace(b"pear", b"poir\xe9", 1),
        r"byte \d+ is not UTF-8 \(it may be Windows-1252\) and line 2, column fruit: 'poiré' instead of 'pear'",
    ),
    "a byte of zeros": (lambda lines: lines.replace(b"pear", b"p\0ar", 1), "line 2.*instead of"),
}


@pytest.mark.parametrize(("change", "message"), FORMS.values(), ids=FORMS)
def test_what_no_editor_shows_is_told(tmp_path: Path, change, message):
    (tmp_path / "fruit.csv").write_bytes(change(FRUIT))
    with pytest.raises(DataError, match=rf"fruit.csv was changed: {message}.*`python data/fruit.py` makes it anew"):
        load("fruit", tmp_path / "fruit.csv")


def test_where_the_synthesisers_are_missing_line_ends_are_told_all_the_same(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    changed = tmp_path / "speech.csv"
    changed.write_bytes((DATA / "speech.csv").read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(DataError, match=r"was changed: its lines end in CR LF instead of LF\. "):
        load("speech", changed)
    changed.write_bytes(changed.read_bytes().replace(b"seven", b"nine", 1))
    with pytest.raises(DataError, match=r"CR LF instead of LF and where else, cannot be said here \(.*is missing"):
        load("speech", changed)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(FRUIT)), cut=st.integers(0, 30), put=st.binary(max_size=30))
def test_any_change_is_told_in_one_line(tmp_path_factory, place, cut, put):
    changed = FRUIT[:place] + put + FRUIT[place + cut :]
    path = tmp_path_factory.mktemp("changed") / "fruit.csv"
    path.write_bytes(changed)
    if changed == FRUIT:
        load("fruit", path)
        return
    with pytest.raises(DataError, match=r"^fruit\.csv was changed: .+ `python data/fruit.py` makes it anew\.$"):
        load("fruit", path)


def test_a_checkout_has_the_checksummed_bytes_whatever_git_does_with_line_ends(tmp_path: Path):
    """A real repository with the project's attributes, cloned by somebody who has `core.autocrlf` set."""
    source, clone = tmp_path / "source", tmp_path / "clone"
    shutil.copytree(DATA, source / "data", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for path in (".gitattributes", ".ci/run", "docs/request.sh", "Makefile", "deploy/Dockerfile"):
        (source / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    mine = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "core.autocrlf=true")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "data"]):
        subprocess.run(["git", *mine, *command], cwd=source, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["git", *mine, "clone", "--quiet", source, clone], check=True)
    files = [path.relative_to(clone) for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert {path.name for path in files} >= {"fruit.csv", "SHA256SUMS", "speech_example.wav", "run", "request.sh"}
    for path in files:
        assert (clone / path).read_bytes() == (ROOT / path).read_bytes(), path


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
