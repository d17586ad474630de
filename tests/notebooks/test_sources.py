"""Each executed notebook is the one that its source describes."""

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
BUILD = runpy.run_path(str(NOTEBOOKS / "build.py"))
SOURCES = sorted((NOTEBOOKS / "source").glob("*.md"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_source_and_copy_match(source):
    assert BUILD["is_current"](source), f"`make notebooks` rebuilds {source.stem}"


def test_every_copy_has_a_source():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {source.stem for source in SOURCES}


def test_an_edited_source_is_seen(tmp_path):
    source = tmp_path / SOURCES[0].name
    source.write_text(SOURCES[0].read_text().replace("## Recap", "## Summary"))
    assert not BUILD["is_current"](source)
