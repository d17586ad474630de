"""A model's files that are damaged, beside what `tests/test_start.py` has of files that were exchanged."""

import os
import shutil
from pathlib import Path

import pytest
from support.server import bentoml_serve, newest, start, workers


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a truncated model": ("model.onnx", cut),
    "one bit of a model": ("model.onnx", flip_one_bit),
    "a truncated card": ("card.json", cut),
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


def test_a_release_damaged_while_it_is_served_ends_the_service_when_a_worker_must_be_replaced(tmp_path):
    """A worker that cannot load its model would be started again for ever."""
    home = tmp_path / "spoilt"
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", home / "models")
    with bentoml_serve(tmp_path / "log", BENTOML_HOME=str(home)) as server:
        release = newest(home, "fruit")
        flip_one_bit(release / "model.onnx")
        (worker,) = workers(server)
        worker.kill()
        server.process.wait(60)  # the supervisor looks for dead workers every ten seconds
        said = [line for line in server.log.read_text().splitlines() if "the service ends" in line]
    assert len(said) == 1
    assert f"fruit:{release.name}: model.onnx is not the file that was released" in said[0]
    assert "Traceback" not in server.log.read_text()
