"""`make` in other people's environments: their pip, their kernels, their folders, their home, their locale."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from support.server import ROOT

MOVED = "slipway: .venv was made in another folder, or its Python is gone: `make clean`, then try again"
# Something to install, and what installs the project: the rest of the lock takes minutes.
LOCK = re.search(r"^flit-core==.*\n(?: +.*\n)+", (ROOT / "requirements" / "course.txt").read_text("utf-8"), re.M)[0]


def make(*arguments, cwd=ROOT, **variables):
    # the tests may have been started with a PYTHONPATH; a person who types `make` has none
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
    command = ["make", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment | variables, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def checkout(folder):
    """What of the project the set-up needs, in a folder of its own."""
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE", "slipway/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "requirements").mkdir()
    (folder / "requirements" / "course.txt").write_text(LOCK, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """A checkout that was set up by somebody whose pip installs elsewhere."""
    folder = checkout(tmp_path_factory.mktemp("a checkout") / "slipway")
    elsewhere = folder.parent / "elsewhere"
    theirs = {"PIP_USER": "1", "PIP_TARGET": f"{elsewhere}/target", "PIP_PREFIX": f"{elsewhere}/prefix"}
    theirs |= {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_ROOT": f"{elsewhere}/root", "PYTHON": sys.executable}
    code, _, stderr = make("ready", cwd=folder, **theirs)
    assert code == 0, stderr
    assert not elsewhere.exists()
    return folder


def package(folder):
    """Where the Python of a checkout finds the package, if it is not started in the checkout."""
    program = "import flit_core, slipway; print(slipway.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [folder / ".venv/bin/python", "-c", program]
    return subprocess.check_output(command, cwd="/", env=environment, text=True).strip()


def test_the_set_up_goes_into_the_folder_whatever_the_settings_of_pip(settled):
    assert package(settled) == f"{settled}/slipway/__init__.py"


@pytest.mark.parametrize("original", ["moved", "copied", "replaced"])
def test_a_folder_that_was_moved_or_copied_is_told_what_to_do(settled, tmp_path, original):
    other = tmp_path / "other"
    shutil.copytree(settled, other, symlinks=True, copy_function=shutil.copy2)
    aside = settled.rename(settled.parent / "aside") if original != "copied" else None
    try:
        if original == "replaced":
            checkout(settled)
        code, _, stderr = make("models", cwd=other)
        assert code != 0
        assert [line for line in stderr.splitlines() if not line.startswith("make: ***")] == [MOVED]
    finally:
        if aside:
            shutil.rmtree(settled, ignore_errors=True)
            aside.rename(settled)
    assert make("ready", cwd=settled)[0] == 0


def test_the_set_up_of_a_copy_leaves_the_original_alone(settled, tmp_path):
    """A copy whose files have new dates is set up at once: with programs of its own."""
    copy = tmp_path / "copy"
    shutil.copytree(settled, copy, symlinks=True)
    (copy / "requirements" / "course.txt").touch()
    code, _, stderr = make("ready", cwd=copy, PYTHON=sys.executable)
    assert code == 0, stderr
    assert package(copy) == f"{copy}/slipway/__init__.py"
    assert package(settled) == f"{settled}/slipway/__init__.py"
    assert (copy / ".venv/bin/pip").read_text(encoding="utf-8").splitlines()[0].count(str(settled)) == 0


def test_a_home_that_cannot_be_written_to_is_replaced(settled):
    code, stdout, _ = make("help", cwd=settled, HOME="/dev/null")
    assert code == 0
    assert stdout.startswith("slipway: nothing can be written to HOME=/dev/null, so models, ")


def shown(name, tmp_path, **variables):
    """A variable as the programs that make starts see it."""
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"include {ROOT / 'Makefile'}\nshow:\n\t@printenv {name} || true\n", encoding="utf-8")
    return make("-s", "show", cwd=tmp_path, **variables)[1].splitlines()[-1:]


def test_every_program_has_a_home_to_write_to(tmp_path):
    assert shown("HOME", tmp_path, HOME="/dev/null") == [f"{tmp_path}/build/home"]
    assert (tmp_path / "build" / "home").is_dir()
    (tmp_path / "own").mkdir()
    assert shown("HOME", tmp_path, HOME=f"{tmp_path}/own") == [f"{tmp_path}/own"]


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_program_asks_this_machine_through_a_proxy(tmp_path, name):
    none = {"no_proxy": "", "NO_PROXY": ""}
    assert shown(name, tmp_path, **none)[0].split(",")[:3] == ["127.0.0.1", "localhost", "::1"]
    assert shown(name, tmp_path, **none | {"NO_PROXY": "there"}) == ["127.0.0.1,localhost,::1,there"]
    assert shown(name, tmp_path, **none | {"no_proxy": "*"}) == ["*"]


def test_text_is_utf_8_in_any_locale(tmp_path):
    theirs = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "gbk"}
    assert shown("PYTHONUTF8", tmp_path, **theirs) == ["1"]
    assert shown("PYTHONIOENCODING", tmp_path, **theirs) == []


FOREIGN = {"argv": ["/nowhere/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}


@pytest.fixture
def foreign_kernel(tmp_path):
    """A JUPYTER_PATH with a kernel `python3` of a Python that is not there."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    kernel = FOREIGN | {"display_name": "Python 3"}
    (folder / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    return str(tmp_path / "jupyter")


def test_make_lab_offers_the_kernel_of_the_project_and_starts_for_root_too(foreign_kernel, tmp_path):
    environment = os.environ | {"JUPYTER_PATH": foreign_kernel, "HOME": str(tmp_path), "BROWSER": "true"}
    command = ["make", "-o", ".venv/installed", "lab"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes, start_new_session=True) as process:
        limit = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        try:
            pages = (re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*\?(token=\w+)", line) for line in process.stderr)
            address, token = next(page for page in pages if page).groups()
            offered = httpx.get(f"{address}/api/kernelspecs?{token}").json()["kernelspecs"]["python3"]
            assert offered["spec"]["argv"][0] != FOREIGN["argv"][0]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
            limit.cancel()


def test_models_are_trained_by_the_python_that_was_asked(foreign_kernel, tmp_path):
    store = tmp_path / "store"
    models = Path(os.environ["BENTOML_HOME"]) / "models"
    shutil.copytree(models, store / "models", ignore=lambda folder, _: ["fruit"] if Path(folder) == models else [])
    environment = os.environ | {"JUPYTER_PATH": foreign_kernel, "BENTOML_HOME": str(store)}
    command = [sys.executable, "-m", "slipway.training"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert list((store / "models" / "fruit").glob("*/model.onnx"))


def test_notebooks_are_built_and_tested_by_the_python_that_was_asked(foreign_kernel, tmp_path):
    """`notebooks/build.py`, and nbval as `make test` starts it, on a copy of them with one notebook."""
    copy = tmp_path / "copy"
    (copy / "notebooks" / "source").mkdir(parents=True)
    for name in ("conftest.py", "pyproject.toml", "notebooks/build.py"):
        shutil.copy(ROOT / name, copy / name)
    text = "# One cell\n\n```{code-cell} ipython3\nimport sys\n\nprint(sys.prefix)\n```\n"
    head = (ROOT / "notebooks/source/08_service.md").read_text(encoding="utf-8").split("\n# ")[0]
    (copy / "notebooks/source/01_one.md").write_text(f"{head}\n{text}", encoding="utf-8")
    environment = os.environ | {"JUPYTER_PATH": foreign_kernel, "PYTHONPATH": str(ROOT)}

    def run(*command):
        answer = subprocess.run(
            [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr

    run("notebooks/build.py")
    notebook = json.loads((copy / "notebooks/01_one.ipynb").read_text(encoding="utf-8"))
    assert notebook["cells"][1]["outputs"][0]["text"] == [f"{sys.prefix}\n"]
    run("-m", "pytest", "-q", "-n0", "notebooks")


def test_help_explains_every_target():
    explained = set(re.findall(r"^  make (\w+) +\S", make("help")[1], re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert explained == targets - {"ready"}
