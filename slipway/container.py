"""Build the service's container image, and run it, with the engine that this machine has: `make image`.

The commands are those a person would type; `python -m slipway.container` prints each before it runs it.
"""

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

BENTO = "slipway:latest"
IMAGE = "localhost/slipway:latest"
ENTRYPOINT = "/home/bentoml/bento/env/docker/entrypoint.sh"


class ContainerError(Exception):
    """No engine, or a command of the engine that failed."""


@dataclass(frozen=True)
class Engine:
    """A program that builds and runs container images."""

    name: Literal["docker", "podman", "buildah"]

    def build(self, bento: str = BENTO, image: str = IMAGE) -> list[str]:
        """The command that makes an image of a Bento."""
        command = ["bentoml", "containerize", bento, "--image-tag", image]
        if self.name == "podman":
            command += ["--backend", "podman"]
        if self.name == "buildah":
            # no daemon and no network of its own: it works inside a container or a bare virtual machine, as root
            command += ["--backend", "buildah", "--opt", "isolation=chroot", "--opt", "network=host"]
            command += ["--opt", "format=docker"]
        return command

    def run(self, port: int, image: str = IMAGE) -> list[str]:
        """The command that serves an image on 127.0.0.1:port until it is stopped.

        The root file system is read-only, with a `/tmp` in memory that BentoML may write to. buildah has no such option for its `run`: there
        the image's files are mounted read-only, and the server started in them as the image's user.
        """
        if self.name == "buildah":
            return ["unshare", "--mount", "bash", "-euc", IN_A_READ_ONLY_ROOT, image, str(port)]
        command = [self.name, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--env", "BENTOML_HOME=/tmp/bentoml"]
        return [*command, "--publish", f"127.0.0.1:{port}:3000", image]


IN_A_READ_ONLY_ROOT = f"""
container=$(buildah from --pull-never "$0")
root=$(buildah mount "$container")
trap 'umount --lazy --recursive "$root" && buildah rm "$container" >/dev/null' EXIT
cp /etc/hosts "$root/etc/hosts"
mount --bind -o ro "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
chroot --userspec=bentoml:bentoml "$root" env -i $(
    buildah inspect --type container --format '{{{{range .Docker.Config.Env}}}}{{{{println .}}}}{{{{end}}}}' "$container"
) HOME=/tmp BENTOML_HOME=/tmp/bentoml BENTOML_HOST=127.0.0.1 {ENTRYPOINT} serve -p "$1" &
server=$!
trap 'kill "$server"' TERM INT
while kill -0 "$server" 2>/dev/null; do wait "$server" || true; done
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


def main() -> int:
    engine = find_engine()
    try:
        if engine is None:
            raise ContainerError("no container engine works here: install Docker, podman or buildah")
        run(["bentoml", "build"])
        run(engine.build())
    except ContainerError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    print(f"\nmade {IMAGE}. Run it, read-only and not as root:\n\n  {shlex.join(engine.run(3000))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
