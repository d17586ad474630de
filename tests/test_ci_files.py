"""GitHub Actions, Jenkins and Travis CI do what `.ci/run` does. Their files are compared here, not executed."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Pipeline:
    """What a CI file makes a machine do: the commands in their order, the Python version, and the variable CI."""

    commands: list[str]
    python: object  # a version without quotes in YAML is a number, and never equal to one in words
    ci: object


def github(text: str) -> Pipeline:
    (job,) = yaml.safe_load(text)["jobs"].values()
    (python,) = (step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
    own = [step for step in job["steps"] if "uses" not in step]
    # a step with an `if` or a `continue-on-error` is not the same step
    commands = [step["run"] if set(step) == {"run"} else str(step) for step in own]
    return Pipeline(commands, python["python-version"], job["env"]["CI"])


def travis(text: str) -> Pipeline:
    said = yaml.safe_load(text)
    variables = dict(line.split("=", 1) for line in said["env"]["global"])
    return Pipeline(said["script"], said["python"], variables["CI"])


def jenkins(text: str) -> Pipeline:
    (python,) = re.findall(r"^\s*PYTHON = 'python([^']+)'", text, re.MULTILINE)
    (ci,) = re.findall(r"^\s*CI = '([^']+)'", text, re.MULTILINE)
    return Pipeline(re.findall(r"^\s*sh '([^']+)'", text, re.MULTILINE), python, ci)


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


def disagreements(files: Mapping[str, str]) -> list[str]:
    """What the CI files do otherwise than `.ci/run`, or with another Python than the oldest that is supported."""
    oldest = re.fullmatch(r">=\s*([\d.]+)", tomllib.loads(files["pyproject.toml"])["project"]["requires-python"])
    assert oldest
    expected = Pipeline(steps(files[".ci/run"]), oldest[1], "true")
    assert expected.commands
    found = {name: read(files[name]) for name, read in READ.items()}
    return [f"{name}: {pipeline}, not {expected}" for name, pipeline in found.items() if pipeline != expected]


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
        (".github/workflows/ci.yml", '"3.11"', "3.11"),
        (".github/workflows/ci.yml", 'CI: "true"', 'CI: "false"'),
        ("Jenkinsfile", "sh 'make lint'", "// sh 'make lint'"),
        ("Jenkinsfile", "sh 'make lint'", "sh 'make image'"),
        ("Jenkinsfile", "python3.11", "python3.12"),
        ("Jenkinsfile", "CI = 'true'", "CI = 'yes'"),
        (".travis.yml", "  - make test\n  - make lint\n", "  - make lint\n  - make test\n"),
        (".travis.yml", '"3.11"', '"3.12"'),
        (".travis.yml", "CI=true", "CI=false"),
        (".ci/run", "make lint", "true"),
        (".ci/run", "make lint", "# make lint"),
        (".ci/run", "make test", "make test models"),
        ("pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.12"'),
    ],
)
def test_a_changed_file_is_noticed(files, name, old, new):
    changed = files | {name: files[name].replace(old, new)}
    assert changed != files
    assert disagreements(changed)
