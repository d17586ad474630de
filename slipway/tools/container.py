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

        buildah's `run` can neither make the root read-only nor pass on the signal that stops a server: there the
        image's files are mounted, and the command is started in them as the user.
        """
        if self.name == "buildah":
            mode = "ro" if read_only else "rw"
            return ["unshare", "--mount", "bash", "-euc", IN_ITS_FILES, image, mode, user or "", *command]
        options = READ_ONLY if read_only else []
        rights = ["--user", user] if user else []
        program, *arguments = command
        return [self.name, "run", "--rm", *options, *rights, "--entrypoint", program, image, *arguments]


READ_ONLY = ["--read-only", "--tmpfs", "/tmp"]
IN_ITS_FILES = """
mode=$1 user=$2
shift 2
container=$(buildah from --pull-never "$0")
root=$(buildah mount "$container")
trap 'umount --lazy --recursive "$root" && buildah rm "$container" >/dev/null' EXIT
of_image() { buildah inspect --type container --format "{{$1}}" "$container"; }
cp /etc/hosts "$root/etc/hosts"
mount --bind -o "$mode" "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
chroot --userspec="${user:-$(of_image .Docker.Config.User)}" "$root" env -i \
    $(of_image 'range .Docker.Config.Env}}{{println .}}{{end') \
    HOME=/tmp BENTOML_HOST=127.0.0.1 "$@" &
child=$!
trap 'kill "$child"' TERM INT
status=0
while kill -0 "$child" 2>/dev/null; do wait "$child" && status=0 || status=$?; done
exit "$status"
"""


def find_engine() -> Engine | None:
    """The first of Docker, podman and buildah that works here; a client without its daemon does not."""
    for engine in (Engine("docker"), Engine("podman"), Engine("buildah")):
        if shutil.which(engine.name):
            answer = subprocess.run([engine.name, "info"], capture_output=True, check=False)
            if answer.returncode == 0:
                return engine
    return None


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
    engine = find_engine()
    try:
        if engine is None:
            raise ContainerError("no container engine works here: install Docker, podman or buildah")
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
