"""Build the service's container image, and run it, with the engine that this machine has: `make image`.

The commands are those a person would type, and each is printed before it runs. `python -m slipway.tools.container
serve` runs the image; with Docker and podman it is one command, which the build prints. `deploy/Dockerfile` says what
is in it.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BENTO = "slipway:latest"
IMAGE = "localhost/slipway:latest"
DOCKERFILE = "deploy/Dockerfile"
ROOT = Path(__file__).parents[2]
RUN_WITH_BUILDAH = ROOT / "deploy" / "run_with_buildah.sh"
PULL_SECONDS = 300
CONTEXT = Path("build/image")  # the folder with all that the engine sees of this machine
ENTRYPOINT = "/home/bentoml/bento/env/docker/entrypoint.sh"


class ContainerError(Exception):
    """No engine, or a command of the engine that failed."""


@dataclass(frozen=True)
class Engine:
    """A program that builds and runs container images."""

    name: Literal["docker", "podman", "buildah"]

    def build(self, context: Path = CONTEXT, image: str = IMAGE) -> list[str]:
        """The command that makes an image of the Bento in context/slipway.tar."""
        command = [self.name, "build", "--file", DOCKERFILE, "--tag", image]
        if self.name != "docker":
            command += ["--format", "docker"]  # the other format has no HEALTHCHECK
        if self.name == "buildah":
            # no daemon and no network of its own: it works inside a container or a bare virtual machine, as root
            command += ["--isolation", "chroot", "--network", "host", "--layers"]
        return [*command, str(context)]

    def megabytes(self, image: str = IMAGE) -> float:
        """How large an image is, its base image included, as the engine counts."""
        if self.name == "buildah":
            [found] = json.loads(output([self.name, "images", "--json", image]))
            number, unit = found["size"].split()
            return float(number) * {"MB": 1, "GB": 1000}[unit]
        return int(output([self.name, "image", "inspect", "--format", "{{.Size}}", image])) / 1e6

    def run(self, port: int, image: str = IMAGE) -> list[str]:
        """The command that serves an image on 127.0.0.1:port until it is stopped, as `inside` with `read_only`."""
        if self.name == "buildah":
            return self.inside([ENTRYPOINT, "serve", "-p", str(port)], image, read_only=True)
        return [self.name, "run", "--rm", *READ_ONLY, "--publish", f"127.0.0.1:{port}:3000", image]

    def inside(
        self, command: list[str], image: str = IMAGE, *, user: str | None = None, read_only: bool = False
    ) -> list[str]:
        """The command that runs another command in a new container of an image, which is gone when it ends.

        user: whose rights it has; without one, those of the image's own user
        read_only: the root file system is read-only, with a `/tmp` in memory that BentoML may write to

        buildah's own `run` cannot do this; `deploy/run_with_buildah.sh` says why, and does it.
        """
        if self.name == "buildah":
            mode = "ro" if read_only else "rw"
            return ["unshare", "--mount", str(RUN_WITH_BUILDAH), image, mode, user or "", *command]
        options = READ_ONLY if read_only else []
        rights = ["--user", user] if user else []
        program, *arguments = command
        return [self.name, "run", "--rm", *options, *rights, "--entrypoint", program, image, *arguments]


READ_ONLY = ["--read-only", "--tmpfs", "/tmp"]


def base_image() -> str:
    """The image that `deploy/Dockerfile` starts from, the same in each of its stages."""
    lines = (ROOT / DOCKERFILE).read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("FROM "))


def find_engine() -> Engine:
    """The first of Docker, podman and buildah that can build here.

    It must work, which a client without its daemon does not, and it must have the base image, or pull it now.
    Raises ContainerError with what is missing if there is none.
    """
    base, missing = base_image(), []
    for engine in (Engine("docker"), Engine("podman"), Engine("buildah")):
        if shutil.which(engine.name) is None or complaint([engine.name, "info"]):
            continue
        if not complaint([engine.name, "inspect", "--type", "image", base]):
            return engine
        why = complaint([engine.name, "pull", "--quiet", base])
        if not why:
            return engine
        missing.append(f"{engine.name} has no image {base} to build on, and cannot pull it: {why}")
    raise ContainerError("; ".join(missing) or "no container engine works here: install Docker, podman or buildah")


def complaint(command: list[str]) -> str:
    """The last line that a command writes when it fails; empty if it succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PULL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it did not end within {PULL_SECONDS} s"
    if done.returncode == 0:
        return ""
    return done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"


def run(command: list[str]) -> None:
    """Print a command and run it. Raises ContainerError if it fails."""
    print("$", shlex.join(command), flush=True)
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ContainerError(f"`{shlex.join(command)}` failed: {error}") from error


def output(command: list[str]) -> str:
    """What a command prints. Raises ContainerError if it fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ContainerError(f"`{shlex.join(command)}` failed: {error}") from error


def build(engine: Engine, bento: str = BENTO, image: str = IMAGE, context: Path = CONTEXT) -> None:
    """Make an image of a Bento. Raises ContainerError if a command fails."""
    context.mkdir(parents=True, exist_ok=True)
    # an absolute path: BentoML takes a relative one for a path from the root
    run(["bentoml", "export", bento, str(context.resolve() / "slipway.tar")])
    run(engine.build(context, image))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the container image, or serve it on 127.0.0.1:3000.")
    parser.add_argument("action", choices=["build", "serve"], nargs="?", default="build")
    action = parser.parse_args().action
    try:
        engine = find_engine()
        if action == "serve":
            os.execvp((command := engine.run(3000))[0], command)
        run(["bentoml", "build"])
        build(engine)
        size = engine.megabytes()
    except ContainerError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    by_hand = "python -m slipway.tools.container serve" if engine.name == "buildah" else shlex.join(engine.run(3000))
    print(f"\nmade {IMAGE}, {size:.0f} MB. Run it, read-only and not as root:\n\n  {by_hand}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
