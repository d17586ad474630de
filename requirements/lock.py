"""Resolve the locks and `environment.yml` anew from `pyproject.toml` and `requirements/*/*.in`: `make lock`."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
OLDEST_PYTHON = "3.11"
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)(?: ; (.+?))? *\\?$", re.MULTILINE)


def compile_lock(name: str, source: str, *options: str, constraints: str = "") -> None:
    """Write one lock: every package with its version and its files' hashes, for every platform, naming no index."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--quiet", "--universal", "--generate-hashes"]
    command += ["--fork-strategy", "fewest", "--upgrade", "--custom-compile-command", "make lock"]
    command += ["--output-file", f"requirements/{name}", *options]
    subprocess.run(command, cwd=ROOT, input=constraints, text=True, check=True)


def pins(lock: str, *packages: str) -> str:
    """The named packages of a lock, each with its version, as constraints of another."""
    return "".join(f"{name}=={version}\n" for name, version, _ in PIN.findall(lock) if name in packages)


def environment(lock: str) -> str:
    """The text of `environment.yml`: the pins of a lock, for conda users and Binder."""
    pins = [f"{name}=={version}" + (f" ; {marker}" if marker else "") for name, version, marker in PIN.findall(lock)]
    head = [
        "# Made by `make lock` from requirements/course.txt: the same versions, for conda users and Binder.",
        "name: slipway",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    return "\n".join(head + [f'      - "{pin}"' for pin in pins] + ["      - --editable ."]) + "\n"


if __name__ == "__main__":
    compile_lock("serving.txt", "pyproject.toml")
    compile_lock("course.txt", "pyproject.toml", "--extra", "course", "--constraint", "requirements/serving.txt")
    lock = (HERE / "course.txt").read_text(encoding="utf-8")
    (ROOT / "environment.yml").write_text(environment(lock), encoding="utf-8")
    print(f"locked {len(PIN.findall(lock))} packages")

    # environments of their own (environments.py); what is pickled here is unpickled there by the same scikit-learn
    same = pins(lock, "scikit-learn")
    for source in sorted(HERE.glob("*/*.in")):
        name = source.relative_to(HERE)
        options = ("--python-version", OLDEST_PYTHON, "--constraint", "-")
        compile_lock(f"{name.with_suffix('.txt')}", f"requirements/{name}", *options, constraints=same)
        print(f"locked {name.stem}")
