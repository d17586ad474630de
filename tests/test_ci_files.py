"""GitHub Actions, Jenkins and Travis CI do what `.ci/run` does. Their files are compared here, not executed."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


# .ci/run installs these and the others do not: Docker is there in place of the first four, and Chrome of the last
THERE = {"buildah", "debootstrap", "crun", "curl", "chromium"}


@dataclass(frozen=True)
class Pipeline:
    """What a CI file makes machines do: the commands in their order, the Python versions, the Debian packages that the
    tests need, whether a failure on one Python stops the others, and the variable CI."""

    commands: list[str]
    pythons: list[object]  # a version without quotes in YAML is a number, and never equal to one in words
    packages: set[str]
    fail_fast: object
    ci: object


def installed(script: str) -> set[str]:
    """The Debian packages that a shell script installs."""
    lines = re.findall(r"^(?:sudo )?apt-get install (.+)$", script.replace("\\\n", " "), re.MULTILINE)
    return {word for line in lines for word in line.split() if re.fullmatch(r"[a-z][a-z0-9.+-]+", word)}


def github(text: str) -> Pipeline:
    (job,) = yaml.safe_load(text)["jobs"].values()
    (python,) = (step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
    ((axis, pythons),) = job["strategy"]["matrix"].items()
    if python["python-version"] != f"${{{{ matrix.{axis} }}}}":
        pythons = [python["python-version"]]
    own = [step for step in job["steps"] if "uses" not in step]
    # a step with an `if` or a `continue-on-error` is not the same step
    steps = [step["run"] if set(step) == {"run"} else str(step) for step in own]
    commands = [step for step in steps if not step.startswith("sudo apt-get ")]
    fail_fast = job["strategy"].get("fail-fast", True)
    return Pipeline(commands, pythons, installed("\n".join(steps)), fail_fast, job["env"]["CI"])


def travis(text: str) -> Pipeline:
    said = yaml.safe_load(text)
    variables = dict(line.split("=", 1) for line in said["env"]["global"])
    fail_fast = said.get("jobs", {}).get("fast_finish", False)
    return Pipeline(said["script"], said["python"], set(said["addons"]["apt"]["packages"]), fail_fast, variables["CI"])


def jenkins(text: str) -> Pipeline:
    ((axis, values),) = re.findall(r"^\s*name '(\w+)'\s+values (.+)$", text, re.MULTILINE)
    (python,) = re.findall(r'^\s*PYTHON = "python([^"]+)"', text, re.MULTILINE)
    pythons = re.findall(r"'([^']+)'", values) if python == f"${{{axis}}}" else [python]
    (packages,) = re.findall(r"^\s*// the Debian packages (.+)$", text, re.MULTILINE)
    fail_fast = bool(re.search(r"failFast true|parallelsAlwaysFailFast", text))
    (ci,) = re.findall(r"^\s*CI = '([^']+)'", text, re.MULTILINE)
    commands = re.findall(r"^\s*sh '([^']+)'", text, re.MULTILINE)
    return Pipeline(commands, pythons, set(packages.split()), fail_fast, ci)


READ: dict[str, Callable[[str], Pipeline]] = {
    ".github/workflows/ci.yml": github,
    "Jenkinsfile": jenkins,
    ".travis.yml": travis,
}


def steps(script: str) -> list[str]:
    """The `make` commands of a shell script, one for each target, in their order."""
    variable = r"\w+=(?:\$\([^)]*\)|[^\s$])* "  # BENTOML_HOME=$(mktemp -d)
    found = re.findall(rf"^[ \t]*(?:{variable})*make((?: [a-z]+)+)", script, re.MULTILINE)
    return [f"make {target}" for targets in found for target in targets.split()]


def supported(pyproject: str) -> tuple[list[str], str]:
    """The Python versions that the classifiers name, and what `requires-python` says."""
    project = tomllib.loads(pyproject)["project"]
    prefix = "Programming Language :: Python :: "
    return [line.removeprefix(prefix) for line in project["classifiers"]], project["requires-python"]


def disagreements(files: Mapping[str, str]) -> list[str]:
    """What the CI files do otherwise than `.ci/run`, or with other Pythons than those that are supported."""
    pythons, required = supported(files["pyproject.toml"])
    expected = Pipeline(steps(files[".ci/run"]), pythons, installed(files[".ci/run"]) - THERE, False, "true")
    assert expected.commands
    assert expected.packages
    found = {name: read(files[name]) for name, read in READ.items()}
    wrong = [f"{name}: {pipeline}, not {expected}" for name, pipeline in found.items() if pipeline != expected]
    oldest = min(pythons, key=lambda version: [int(part) for part in version.split(".")])
    if required != f">={oldest}":
        wrong.append(f"pyproject.toml: requires-python is {required}, and the oldest classifier is {oldest}")
    return wrong


@pytest.fixture
def files() -> dict[str, str]:
    return {name: (ROOT / name).read_text() for name in (*READ, ".ci/run", "pyproject.toml")}


def test_the_three_ci_files_do_what_ci_run_does(files):
    assert disagreements(files) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (".github/workflows/ci.yml", "      - run: make lint\n", ""),
        (".github/workflows/ci.yml", "- run: make lint", "- run: make lint || true"),
        (".github/workflows/ci.yml", "- run: make lint", "- run: make lint\n        continue-on-error: true"),
        (".github/workflows/ci.yml", '"3.12"', "3.12"),
        (".github/workflows/ci.yml", ', "3.13"', ""),
        (".github/workflows/ci.yml", "${{ matrix.python-version }}", '"3.11"'),
        (".github/workflows/ci.yml", "fail-fast: false", "fail-fast: true"),
        (".github/workflows/ci.yml", "      fail-fast: false", ""),
        (".github/workflows/ci.yml", "espeak-ng flite ", "espeak-ng "),
        (".github/workflows/ci.yml", "- run: sudo apt-get update", "- run: sudo apt-get update\n        if: false"),
        (".github/workflows/ci.yml", 'CI: "true"', 'CI: "false"'),
        ("Jenkinsfile", "sh 'make lint'", "// sh 'make lint'"),
        ("Jenkinsfile", "sh 'make lint'", "sh 'make image'"),
        ("Jenkinsfile", ", '3.13'", ""),
        ("Jenkinsfile", "'3.12'", "'3.10'"),
        ("Jenkinsfile", "python${PYTHON_VERSION}", "python3.11"),
        ("Jenkinsfile", "matrix {", "failFast true\n            matrix {"),
        ("Jenkinsfile", "nginx-light ", ""),
        ("Jenkinsfile", "CI = 'true'", "CI = 'yes'"),
        (".travis.yml", "  - make test\n  - make lint\n", "  - make lint\n  - make test\n"),
        (".travis.yml", '"3.11"', '"3.10"'),
        (".travis.yml", '"3.13"', "3.13"),
        (".travis.yml", '  - "3.12"\n', ""),
        (".travis.yml", "      - prometheus\n", ""),
        (".travis.yml", "cache: pip", "jobs:\n  fast_finish: true"),
        (".travis.yml", "CI=true", "CI=false"),
        (".ci/run", "make lint", "true"),
        (".ci/run", "make lint", "# make lint"),
        (".ci/run", "make test", "make test models"),
        (".ci/run", "espeak-ng flite ", "espeak-ng flite graphviz "),
        (".ci/run", "prometheus-alertmanager", ""),
        ("pyproject.toml", '    "Programming Language :: Python :: 3.12",\n', ""),
        ("pyproject.toml", ":: 3.13", ":: 3.14"),
        ("pyproject.toml", ":: 3.11", ":: 3.10"),
        ("pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.12"'),
    ],
)
def test_a_changed_file_is_noticed(files, name, old, new):
    changed = files | {name: files[name].replace(old, new)}
    assert changed != files
    assert disagreements(changed)
