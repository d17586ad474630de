"""Our text files are UTF-8, in the locale of anybody who runs a program of ours without `make`."""

import ast

import pytest
from support.server import ROOT, ask_example, bentoml_serve

from slipway.cases import CASES

PROGRAMS = ["service.py", "conftest.py", "notebooks/build.py", "slipway/**/*.py", "data/*.py", "requirements/*.py"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def without_encoding(program: str) -> list[int]:
    """The lines of a program that read or write text in the encoding of the locale."""
    return [node.lineno for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call) and is_unsaid(node)]


def is_unsaid(call: ast.Call) -> bool:
    name = ast.unparse(call.func).split(".")
    if "encoding" in {keyword.arg for keyword in call.keywords}:
        return False
    if name[-1] == "open" and name[0] in ("os", "wave", "DIRECT"):  # these open something else
        return False
    modes = [
        node.value for node in [*call.args, *(word.value for word in call.keywords)] if isinstance(node, ast.Constant)
    ]
    return name[-1] in ("read_text", "write_text") or (name[-1] == "open" and not any("b" in str(m) for m in modes))


def test_every_text_file_is_opened_with_its_encoding():
    programs = [path for pattern in PROGRAMS for path in ROOT.glob(pattern)]
    assert len(programs) > 40
    found = {path.relative_to(ROOT): without_encoding(path.read_text(encoding="utf-8")) for path in programs}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("path.read_text()", [1]),
        ("(folder / 'a').write_text(text)", [1]),
        ("open('a')", [1]),
        ("path.open('w')", [1]),
        ("path.open('ab', buffering=0)", []),
        ("path.read_text(encoding='utf-8')", []),
    ],
)
def test_one_without_is_seen(line, lines):
    assert without_encoding(line) == lines


def test_a_plain_bentoml_serve_works_in_a_locale_that_knows_no_utf_8(tmp_path):
    with bentoml_serve(tmp_path / "log", **ASCII) as server:
        for case in CASES.values():
            assert ask_example(server.client, case).status_code == 200
