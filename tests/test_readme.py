"""What the README shows is what happens."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language, after):
    """The first fenced block of a language after a piece of text."""
    return re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)[1]


def test_its_request_gets_its_answer(served):
    command = shlex.split(block("sh", "## Ask it"))
    address = str(served.client.base_url).rstrip("/")
    command = [part.replace("http://127.0.0.1:3000", address) for part in command]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    shown = json.loads(block("json", "## Ask it"))
    assert answer["results"] == [pytest.approx(result, rel=0.001) for result in shown["results"]]
    assert answer["model"].split(":")[0] == shown["model"].split(":")[0]


def test_make_serve_prints_the_same_request():
    assert (ROOT / "docs" / "request.sh").read_text() == block("sh", "## Ask it")


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target


def test_its_table_lists_every_notebook_with_its_minutes():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        needs = next(cell.source for cell in nbformat.read(path, as_version=4).cells if "## Needs" in cell.source)
        minutes = re.search(r"(\d+) minutes", needs)[1]
        assert re.search(rf"\| \[[^\]]+\]\(notebooks/{path.name}\) \|.*\| {minutes} \|", README), path.name


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets
