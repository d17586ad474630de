"""A release is in the store whole or not at all, whenever its process is killed; what others left half is named."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bentoml
import pytest
from bentoml.exceptions import NotFound
from support.stores import model_store

from slipway.core import store
from slipway.core.model import ModelFileError

ROOT = Path(__file__).parents[2]
NONE = {"said": "the model store holds no fruit. `make models` releases one."}


@pytest.fixture
def models(tmp_path):
    """A store with a copy of the tests' release of fruit, in a folder whose name a shell would take apart."""
    folder = tmp_path / "my models"
    shutil.copytree(bentoml.models.get("fruit:latest").path, folder / "fruit" / "old")
    edit(folder / "fruit" / "old" / "model.yaml", version="old")
    (folder / "fruit" / "latest").write_text("old")
    with model_store(folder):
        yield folder


def edit(info, **values):
    """Change values of a `model.yaml`."""
    lines = [line for line in info.read_text().splitlines() if line.partition(":")[0] not in values]
    info.write_text("\n".join([*lines, *(f"{name}: {value!r}" for name, value in values.items())]) + "\n")


def add(models, version, year):
    """One more whole release, made in a year."""
    entry = models / "fruit" / version
    shutil.copytree(models / "fruit" / "old", entry)
    edit(entry / "model.yaml", version=version, creation_time=f"{year}-01-01T00:00:00+00:00")
    return entry


def interrupted(writer, folder, with_release):
    """What is found after a writer was killed before each of its changes to the store."""
    (folder / "start" / "models").mkdir(parents=True)
    if with_release:
        entry = bentoml.models.get("fruit:latest")
        shutil.copytree(entry.path, folder / "start" / "models" / "fruit" / entry.tag.version)
        (folder / "start" / "models" / "fruit" / "latest").write_text(entry.tag.version)
    command = [sys.executable, ROOT / "tests" / "support" / "interrupted.py", writer, folder]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def check_works(found, newest=None):
    assert found["newest"] == found["got"] == (newest or found["newest"])
    assert found["newest"] in found["listed"]


@pytest.mark.parametrize("with_release", [False, True], ids=["first", "next"])
def test_a_release_that_is_killed_leaves_the_one_before_or_the_new_one(tmp_path, with_release):
    moments = interrupted("release", tmp_path, with_release)
    counts = {len(moment["after"].get("listed", [])) for moment in moments}
    assert counts == ({1, 2} if with_release else {0, 1})  # killed before it was in the store, and after
    for moment in moments:
        if moment["after"] != NONE or with_release:
            check_works(moment["after"])
        check_works(moment["again"], moment["again"]["tag"])


@pytest.mark.parametrize("writer", ["create", "delete"])
def test_what_bentoml_leaves_half_is_named_with_the_command_that_mends_it(tmp_path, writer):
    moments = interrupted(writer, tmp_path, with_release=True)
    assert sum("mended" in moment for moment in moments) >= 3
    for moment in moments:
        found = moment.get("mended", moment["after"])
        if writer == "create" or found != NONE:
            check_works(found)
        if "mended" in moment:
            assert "\n" not in moment["after"]["said"]
        check_works(moment["again"], moment["again"]["tag"])


@pytest.mark.parametrize("length", [0, 5, 10, 25, 60, 150, 300, -2, -20])
def test_half_a_model_yaml_is_half_an_entry(models, length):
    """A copy that was cut off: BentoML raises as many kinds of errors as there are lengths."""
    info = add(models, "new", 2030) / "model.yaml"
    os.truncate(info, length if length >= 0 else info.stat().st_size + length)
    (models / "fruit" / "latest").write_text("new")
    with pytest.raises(ModelFileError, match=r"fruit:new \(it has (no|half a) model.yaml\)") as caught:
        store.newest("fruit")
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    assert store.newest("fruit").tag.version == "old"


@pytest.mark.parametrize("name", ["model.onnx", "card.json", "model.yaml"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["missing", "empty"])
def test_a_file_that_is_missing_or_empty_is_named(models, name, damage):
    damage(models / "fruit" / "old" / name)
    with pytest.raises(ModelFileError, match=rf"fruit:old \(it has no {name}\)"):
        store.newest("fruit")


def test_all_that_is_half_is_removed_by_one_command(models):
    for version in ("a", "b c"):
        (models / "fruit" / version).mkdir()
    assert store.newest("fruit").tag.version == "old"  # what is served does not depend on the others
    with pytest.raises(ModelFileError, match=r"fruit:a .*fruit:b c ") as caught:
        store.repair("fruit")
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    assert not store.repair("fruit")
    assert [str(entry.tag) for entry in bentoml.models.list()] == ["fruit:old"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"gone", b"/", b"..", b"\xff\xfe"])
def test_where_latest_names_nothing_the_newest_release_is_found_and_named_again(models, content):
    add(models, "newer", 2031)
    add(models, "new", 2030)
    latest = models / "fruit" / "latest"
    latest.unlink()
    if content is not None:
        latest.write_bytes(content)
    assert store.newest("fruit").tag.version == "newer"
    assert store.repair("fruit")
    assert latest.read_text() == "newer"
    assert bentoml.models.get("fruit:latest").tag.version == "newer"
    assert not store.repair("fruit")


def test_an_older_release_that_latest_names_stays_the_newest(models):
    add(models, "new", 2030)
    assert store.newest("fruit").tag.version == "old"
    assert not store.repair("fruit")


def test_a_case_without_a_release_is_told(models):
    with pytest.raises(NotFound, match=r"holds no unicorn\. `make models` releases one"):
        store.newest("unicorn")
    assert not store.repair("unicorn")


def entry(tmp_path):
    made = bentoml.Model.create(
        "fruit",
        module="",
        api_version="v1",
        signatures={},
        context=bentoml.models.ModelContext("", {}),
    )
    for name in ("model.onnx", "card.json"):
        Path(made.path_of(name)).write_text("x")
    made.flush()
    return made


def test_a_release_that_cannot_be_written_leaves_nothing(models, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put(entry(tmp_path))
    assert [path.name for path in models.iterdir()] == ["fruit"]
    assert sorted(path.name for path in (models / "fruit").iterdir()) == ["latest", "old"]


def test_what_killed_releases_left_is_removed_once_nobody_can_be_writing_it(models, tmp_path):
    stale, fresh = models / "fruit.stale.unfinished", models / "fruit.fresh.unfinished"
    for left in (stale, fresh):
        left.mkdir()
        (left / "model.onnx").write_text("x")
    os.utime(stale, (time.time() - 2 * store.STALE_SECONDS,) * 2)
    store.put(entry(tmp_path))
    assert fresh.exists()
    assert not stale.exists()
    assert len(bentoml.models.list()) == 2  # BentoML minds neither
