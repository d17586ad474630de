"""Environments beside the course's, for programs that do not fit into it: made on demand, each from a lock of its own.

`requirements/*/<name>.in` lists what a program needs, `<name>.txt` is its lock (`make lock`), and the environment is
made in `build/environments/<name>`, once for each lock.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / "build" / "environments"


class InstallError(Exception):
    """There is no such lock, or the lock cannot be installed here."""


def locks() -> dict[str, Path]:
    """The lock of each environment, by the environment's name."""
    return {lock.stem: lock for lock in sorted(HERE.glob("*/*.txt"))}


def python_of(name: str) -> Path:
    """The interpreter of an environment. It is made first if it is not there, or was made from another lock.

    Raises InstallError, with what uv says of the reason.
    """
    if name not in locks():
        raise InstallError(f"no lock is named {name}: there are {', '.join(locks())}")
    lock, place = locks()[name], ENVIRONMENTS / name
    python, made_from = place / "bin" / "python", place / "lock.txt"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f".{name}").open("w", encoding="utf-8") as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # two tests that ask at once get the one that the first makes
        if not python.exists() or not made_from.exists() or made_from.read_bytes() != lock.read_bytes():
            uv(name, "venv", "--no-project", "--clear", "--python", sys.executable, str(place))
            uv(
                name,
                "pip",
                "install",
                "--compile-bytecode",
                "--python",
                str(python),
                "--require-hashes",
                "-r",
                str(lock),
            )
            shutil.copyfile(lock, made_from)
    return python


def uv(name: str, *arguments: str) -> None:
    """Run uv. Raises InstallError if it fails."""
    done = subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise InstallError(f"the environment {name} cannot be made: {done.stderr.strip()}")
