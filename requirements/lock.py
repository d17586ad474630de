"""Resolve the locks and `environment.yml` anew from `pyproject.toml`: `make lock`."""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)(?: ; (.+?))? *\\?$", re.MULTILINE)


def compile_lock(name: str, *options: str) -> None:
    """Write one lock: every package with its version and its files' hashes, for every platform, naming no index."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--generate-hashes"]
    command += ["--fork-strategy", "fewest", "--upgrade", "--custom-compile-command", "make lock"]
    subprocess.run([*command, "--output-file", f"requirements/{name}", *options], cwd=ROOT, check=True)


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
    compile_lock("serving.txt")
    compile_lock("course.txt", "--extra", "course", "--constraint", "requirements/serving.txt")
    lock = (HERE / "course.txt").read_text()
    (ROOT / "environment.yml").write_text(environment(lock))
    print(f"locked {len(PIN.findall(lock))} packages")
