"""The locks hold what they say, and `environment.yml` and the environments beside the course's say the same."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCK = runpy.run_path(str(ROOT / "requirements" / "lock.py"))
COURSE = (ROOT / "requirements" / "course.txt").read_text()
SERVING = (ROOT / "requirements" / "serving.txt").read_text()
LISTS = sorted((ROOT / "requirements").glob("*/*.in"))
OTHERS = {listed.stem: listed.with_suffix(".txt").read_text() for listed in LISTS}


def locked(text):
    """The pins of a lock: name and version."""
    return {(name, version) for name, version, _ in LOCK["PIN"].findall(text)}


def pinned(environment):
    """The pins of an environment.yml."""
    (pip,) = (entry["pip"] for entry in yaml.safe_load(environment)["dependencies"] if isinstance(entry, dict))
    pins = (line.partition(" ;")[0].partition("==") for line in pip if "==" in line)
    return {(name, version) for name, _, version in pins}


ENVIRONMENT = (ROOT / "environment.yml").read_text()


def test_the_serving_lock_is_part_of_the_course_lock():
    assert locked(SERVING) < locked(COURSE)


@pytest.mark.parametrize("lock", [SERVING, COURSE, *OTHERS.values()], ids=["serving", "course", *OTHERS])
def test_every_package_has_hashes_and_no_index_is_named(lock):
    requirements = [part for part in lock.split("\n") if part and not part.startswith((" ", "#"))]
    assert len(requirements) == len(locked(lock))
    assert all(line.endswith("\\") for line in requirements)  # its hashes follow
    assert "://" not in lock
    assert "--index-url" not in lock


def test_environment_yml_has_the_same_pins():
    assert pinned(ENVIRONMENT) == locked(COURSE)


def test_and_is_what_make_lock_would_write():
    assert LOCK["environment"](COURSE) == ENVIRONMENT


def test_a_wrong_pin_is_seen():
    name, version = sorted(locked(COURSE))[0]
    assert pinned(ENVIRONMENT.replace(f"{name}=={version}", f"{name}==0.0.1", 1)) != locked(COURSE)


def test_a_missing_pin_is_seen():
    name, version = sorted(locked(COURSE))[0]
    lines = [line for line in ENVIRONMENT.splitlines() if f"{name}=={version}" not in line]
    assert pinned("\n".join(lines)) != locked(COURSE)


def test_the_bento_is_built_from_the_serving_lock():
    python = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]
    assert python == {"requirements_txt": "requirements/serving.txt", "lock_packages": False}


@pytest.mark.parametrize("listed", LISTS, ids=OTHERS)
def test_an_environment_beside_has_what_is_listed_for_it(listed):
    lines = [line for line in listed.read_text().splitlines() if line and not line.startswith("#")]
    names = {re.match(r"[\w-]+", line)[0] for line in lines}
    assert names <= {name for name, _ in locked(OTHERS[listed.stem])}


def test_what_is_pickled_is_unpickled_by_the_same_scikit_learn():
    same = locked(LOCK["pins"](COURSE, "scikit-learn"))
    pinned_by_others = {pin for lock in OTHERS.values() for pin in locked(lock) if pin[0] == "scikit-learn"}
    assert pinned_by_others == same
