"""The container image: built by `make image`'s own commands, run read-only and not as root, and asked."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from support.server import ask_example, bentoml_build, free_port, running

from slipway.cases import CASES
from slipway.tools.container import DOCKERFILE, ENTRYPOINT, build

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/slipway:test"
LARGEST_MB = 600
COMPILERS = ["cc", "gcc", "g++", "make", "ld"]
INSTALLERS = ["git", "uv", "curl", "wget", "gpg"]


@pytest.fixture(scope="session")
def image(engine, tmp_path_factory):
    """The image of a Bento of the tests' models, removed in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        build(engine, bentoml_build(), IMAGE, tmp_path_factory.mktemp("image"))
    yield IMAGE
    # it fails where another test runs a container of an image with the same content, and is then left to that one
    subprocess.run([engine.name, "rmi", IMAGE], check=False, capture_output=True)


@pytest.fixture(scope="session")
def container(engine, image, tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("container") / "log"
    with running(engine.run(port, image), port, log, seconds=120) as server:
        yield server


@pytest.fixture
def inside(engine, image):
    """Runs a command in a new container of the image; the lines that it prints."""

    def run(*command, **options):
        command = engine.inside([*command], image, **options)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    return run


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_it_answers_like_the_service_outside(container, served, case):
    inside, outside = (ask_example(server.client, case).json() for server in (container, served))
    assert inside["results"] == outside["results"]


def test_it_refuses_like_the_service_outside(container):
    answer = container.client.post("/v1/fruit", json={"records": []})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "detail", "request_id"}


def test_it_is_no_larger_than_it_must_be(engine, image):
    assert engine.megabytes(image) < LARGEST_MB


def test_it_holds_the_serving_lock_and_nothing_of_the_training_stack(inside):
    packages = set(json.loads(inside("/app/.venv/bin/python", "-c", PACKAGES)[-1]))
    assert {"bentoml", "onnxruntime", "numpy"} <= packages
    assert not packages & {"pip", "scikit-learn", "pandas", "matplotlib", "jupyterlab", "skl2onnx", "onnx"}


PACKAGES = "import importlib.metadata as m, json; print(json.dumps([d.name.lower() for d in m.distributions()]))"


def test_nothing_in_it_can_build_or_fetch_programs(inside):
    """Python could, and pip of the base image: they are there to serve. A compiler or git would be left over."""
    looked_for = ["python", *COMPILERS, *INSTALLERS]
    found = inside("sh", "-c", 'for name; do command -v "$name" || true; done', "sh", *looked_for)
    assert [Path(program).name for program in found] == ["python"]


def test_its_user_is_not_root_and_has_a_number(engine, image, inside):
    """Kubernetes' `runAsNonRoot` refuses an image whose user is only a name."""
    assert inside("id", "-u") == ["1034"]
    assert setting(engine, image, "User") == "1034:1034"


def test_its_user_may_write_only_where_everybody_may(inside):
    writable = inside("sh", "-c", "find / -xdev -writable -not -type l 2>/dev/null || true")
    assert set(writable) <= {"/tmp", "/var/tmp", "/run/lock"}


def test_its_user_may_read_all_of_the_bento_and_the_packages(inside):
    assert inside("find", "/home/bentoml", "/app", "-not", "-readable") == []


def test_a_start_compiles_nothing(inside):
    """What is missing or older than its source would be compiled by every start on a read-only root."""
    lines = inside("bash", "-euc", NEW_BYTECODE, user="root")
    assert lines == ["imported"]


NEW_BYTECODE = """
touch /tmp/before
cd "$BENTO_PATH/src"
python -c 'import bentoml, onnxruntime, slipway.cases, slipway.serving.models; print("imported")'
find / -xdev -name '*.pyc' -newer /tmp/before
"""


def test_its_health_check_fails_until_it_serves(engine, image, inside):
    kind, check = setting(engine, image, "Healthcheck")["Test"]
    assert kind == "CMD-SHELL"
    lines = inside("bash", "-euc", HEALTH, "bash", check, ENTRYPOINT, str(free_port()), read_only=True)
    assert (lines[0], lines[-1]) == ("unhealthy", "healthy")


HEALTH = """
export PORT=$3
sh -c "$1" 2>/dev/null || echo unhealthy
"$2" serve >/tmp/log 2>&1 & server=$!
until sh -c "$1" 2>/dev/null; do kill -0 "$server" || { cat /tmp/log >&2; exit 1; }; done
echo healthy
kill "$server"
wait "$server" || true
"""


def test_it_stops_when_told(engine, image, tmp_path):
    port = free_port()
    with running(engine.run(port, image), port, tmp_path / "log", seconds=120) as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)


def test_it_agrees_with_the_image_of_a_plain_bentoml_containerize(engine, image):
    """Who types that gets BentoML's own Dockerfile: larger, but the same Python, with the same settings."""
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    lines = (ROOT / DOCKERFILE).read_text().splitlines()
    python = f"docker.io/library/python:{bentofile['docker']['python_version']}-slim"
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {python}
    assert {f"{env['name']}={env['value']}" for env in bentofile["envs"]} <= set(setting(engine, image, "Env"))


def setting(engine, image, name):
    """A setting of an image, wherever the engine's `inspect` has it."""
    inspect = [engine.name, "inspect", "--type", "image", image]
    pending = [json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)]
    for tree in pending:
        if isinstance(tree, dict) and name in tree and tree[name]:
            return tree[name]
        pending += tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    raise KeyError(name)
