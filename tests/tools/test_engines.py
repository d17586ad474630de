"""The engine that is taken can build here. Scripts that answer like the engines stand in their place on the PATH."""

import stat
import subprocess
import sys

import pytest
from support.server import ROOT

from slipway.tools.container import ContainerError, base_image, find_engine

ENGINES = ("docker", "podman", "buildah")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a script in the place of an engine. There is no other on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name, script):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


def case(**answers):
    """A script that answers `info`, `inspect` and `pull` with a command each, and fails at anything else."""
    return f"case $1 in {' '.join(f'{word}) {answer};;' for word, answer in answers.items())} *) exit 9;; esac"


OFFLINE = case(info=":", inspect="exit 1", pull="echo Trying >&2; echo no such host >&2; exit 1")


def test_without_any_the_reason_says_what_to_install(install):
    with pytest.raises(ContainerError, match=r"^no container engine works here: install Docker, podman or buildah$"):
        find_engine()


def test_a_client_without_its_daemon_is_passed_over(install):
    install("docker", case(info="exit 1", inspect=":"))
    install("buildah", case(info=":", inspect=":"))
    assert find_engine().name == "buildah"


@pytest.mark.parametrize("name", ENGINES)
def test_one_that_has_the_base_image_need_not_pull_it(install, name):
    install(name, case(info=":", inspect=f'[ "$*" = "inspect --type image {base_image()}" ]', pull="exit 1"))
    assert find_engine().name == name


@pytest.mark.parametrize("name", ENGINES)
def test_one_that_pulls_the_base_image_is_taken(install, name):
    install(name, case(info=":", inspect="exit 1", pull=f'[ "$*" = "pull --quiet {base_image()}" ]'))
    assert find_engine().name == name


def test_one_that_cannot_is_passed_over(install):
    install("podman", OFFLINE)
    install("buildah", case(info=":", inspect=":"))
    assert find_engine().name == "buildah"


def test_make_image_says_in_one_line_what_is_missing(install):
    install("docker", OFFLINE)
    command = [sys.executable, "-m", "slipway.tools.container"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    image = base_image()
    why = f"docker has no image {image} to build on, and cannot pull it: no such host"
    assert (answer.returncode, answer.stderr) == (1, f"slipway: {why}\n")


def test_the_base_image_is_that_of_every_stage():
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {base_image()}
