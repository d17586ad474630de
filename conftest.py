"""What every test shares: a model store of the tests' own with a release of each case, and no skipping in CI."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from slipway.tools.container import ContainerError, Engine, find_engine

ROOT = Path(__file__).parent

# Outside the project's folder: `bentoml build` walks all of that. A store that is named is kept, and not trained anew.
KEPT = "SLIPWAY_TEST_STORE" in os.environ
if not KEPT:
    os.environ["SLIPWAY_TEST_STORE"] = tempfile.mkdtemp(prefix="slipway-tests-")  # the workers inherit it
STORE = Path(os.environ["SLIPWAY_TEST_STORE"])

os.environ["BENTOML_HOME"] = str(STORE)
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# As when the notebooks were built, so that the digits are the same: OpenBLAS rounds by the kind of processor.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Jupyter's `python3` is this interpreter, also where another one has registered itself under that name.
os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
# The servers of the tests are on this machine, and a proxy could not reach them. Other hosts stay as they are.
for name in ("no_proxy", "NO_PROXY"):
    if os.environ.get(name) != "*":
        os.environ[name] = f"127.0.0.1,localhost,::1,{os.environ.get(name, '')}"


@cache
def engine_or_reason() -> Engine | str:
    """The container engine of this machine, or why there is none that can build."""
    try:
        return find_engine()
    except ContainerError as error:
        return str(error)


# `make test` is a make already, and one that a test starts would tell how deep it stands.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)

# A run in the background (`nohup make test &`) ignores these, and so would every process that a test starts and ends.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


def is_worker(session: pytest.Session) -> bool:
    return hasattr(session.config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Train what the tests serve, before any worker starts: `make models`, on the tests' store."""
    if not is_worker(session) and not session.config.option.collectonly:
        subprocess.run([sys.executable, "-m", "slipway.training"], cwd=ROOT, check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the notebook cells that need a container engine where none can build."""
    tagged = [item for item in items if "needs-engine" in getattr(item, "cell", {}).get("metadata", {}).get("tags", [])]
    if tagged and isinstance(reason := engine_or_reason(), str):
        for item in tagged:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true nothing may be skipped: a skip there is a program that `.ci/run` forgot to install."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if not is_worker(session) and not KEPT:
        shutil.rmtree(STORE, ignore_errors=True)


@pytest.fixture(scope="session")
def engine():
    """The container engine of this machine."""
    found = engine_or_reason()
    if isinstance(found, str):
        pytest.skip(found)
    return found
