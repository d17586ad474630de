"""Every notebook keeps the house standard, so that a reader who knows one finds their way in the next."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
HEADINGS = ["Why this matters", "You will be able to", "Needs"]
CLOSING = ["What could go wrong", "Exercises", "Recap", "Next"]

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def test_its_headings_are_the_house_s(path):
    found = re.findall(r"^(#+) (.+)$", re.sub(r"```.*?```", "", prose(path), flags=re.DOTALL), re.MULTILINE)
    assert [level for level, _ in found].count("#") == 1
    sections = [title for level, title in found if level == "##"]
    assert sections[:3] == HEADINGS
    positions = [sections.index(title) for title in CLOSING]
    assert positions == sorted(positions)
    assert sections[-3:] == CLOSING[1:]


def test_needs_names_minutes_memory_and_network(path):
    needs = re.search(r"^## Needs\n+(.+?)(?=^## |\Z)", prose(path), re.MULTILINE | re.DOTALL)
    assert needs
    assert re.search(r"\d+ minutes?", needs[1])
    assert re.search(r"\d+ (MiB|GiB)", needs[1])
    assert "no network" in needs[1]


def test_its_claims_check_themselves(path):
    asserts = [node for cell in code(path) for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
    assert len(asserts) >= 3


def test_it_hides_nothing_behind_magics(path):
    for cell in code(path):
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE), cell.source


def test_it_ran_from_top_to_bottom_without_an_error_or_a_warning(path):
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))
    outputs = [output for cell in code(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_it_has_two_to_four_figures_each_described_in_words(path):
    figures = [output for cell in code(path) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert 2 <= len(figures) <= 4
    for figure in figures:
        alt = figure.metadata.get("image/png", {}).get("alt", "")
        assert len(alt.split()) >= 5, f"a figure whose alt text is {alt!r}"
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", prose(path)):
        assert len(alt.split()) >= 5, f"{target} has the alt text {alt!r}"


def test_its_figures_label_their_axes(path):
    """A cell that shows a figure labels both axes, or says that it has none (a map, a tree, a diagram)."""
    for cell in code(path):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            labelled = {"xlabel", "ylabel"} <= set(re.findall(r"[xy]label", cell.source))
            assert labelled or "axis" in cell.source or "from_" in cell.source or "plot_tree" in cell.source, (
                cell.source
            )


def test_its_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose(path))
    relative = [target for target in targets if "://" not in target]
    for target in relative:
        assert (path.parent / target).exists(), target
    number = NOTEBOOKS.index(path)
    for neighbour in NOTEBOOKS[max(number - 1, 0) : number] + NOTEBOOKS[number + 1 : number + 2]:
        assert neighbour.name in relative, f"no link to {neighbour.name}"
