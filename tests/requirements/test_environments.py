"""Environments beside the course's: made once for each lock, and made again from another. The locks here are empty."""

import subprocess

import pytest

from requirements import environments
from requirements.environments import InstallError, python_of


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """The lock of an environment that needs nothing."""
    monkeypatch.setattr(environments, "HERE", tmp_path / "requirements")
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "environments")
    path = tmp_path / "requirements" / "some" / "nothing.txt"
    path.parent.mkdir(parents=True)
    path.write_text("# nothing\n")
    return path


def test_an_environment_is_made_once_for_each_lock(lock):
    python = python_of("nothing")
    prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True).strip()
    assert prefix == str(environments.ENVIRONMENTS / "nothing")
    mark = python.parent / "mark"
    mark.touch()
    assert python_of("nothing") == python
    assert mark.exists()
    lock.write_text("# nothing else\n")
    assert python_of("nothing") == python
    assert not mark.exists()


def test_a_lock_that_cannot_be_installed_is_said_by_name_and_tried_again(lock):
    lock.write_text("slipway-has-no-hash==1.0\n")
    for _ in range(2):
        with pytest.raises(InstallError, match=r"(?s)the environment nothing cannot be made: .*slipway-has-no-hash"):
            python_of("nothing")


def test_an_unknown_name_is_answered_with_those_that_there_are(lock):
    with pytest.raises(InstallError, match="no lock is named notting: there are nothing"):
        python_of("notting")
