"""A model's files that are damaged, beside what `tests/test_start.py` has of files that were exchanged."""

import os
import shutil
from pathlib import Path

import pytest
from test_start import newest, start


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a truncated model": ("model.onnx", cut),
    "an empty model": ("model.onnx", empty),
    "one bit of a model": ("model.onnx", flip_one_bit),
    "no model": ("model.onnx", Path.unlink),
    "a truncated card": ("card.json", cut),
    "no card": ("card.json", Path.unlink),
}


@pytest.mark.parametrize(("file", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_release_ends_the_start_with_one_line(tmp_path, file, damage):
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", tmp_path / "models")
    release = newest(tmp_path, "house_price")
    damage(release / file)
    code, said = start(tmp_path)
    assert code not in (0, None)
    assert len(said) == 1
    assert f"house_price:{release.name}: " in said[0]
    assert file in said[0]
