"""A real server for the tests that ask one."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from slipway.core.case import Case
from slipway.core.feature import features
from slipway.core.record import example
from slipway.tools.together import end_together

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bentoml_build(**environment: str) -> str:
    """`bentoml build`; the tag of the new Bento."""
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    environment = os.environ | {"FORCE_COLOR": ""} | environment  # a tag with a colour is none
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return built.stdout.strip().splitlines()[-1].removeprefix("__tag__:")


@dataclass
class Server:
    """A running service: its process and a client of it."""

    process: subprocess.Popen
    client: httpx.Client
    log: Path


@contextmanager
def running(
    command: list[str],
    port: int,
    log: Path,
    seconds: float = 60,
    verify: ssl.SSLContext | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Start a command that serves on 127.0.0.1:port, wait until it is ready, and stop it in the end.

    verify: what a client that asks by HTTPS trusts
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
    end_together(process)  # also if the tests are killed
    try:
        address = f"{'http' if verify is None else 'https'}://127.0.0.1:{port}"
        # whatever proxy the machine is set to is not asked
        with httpx.Client(base_url=address, timeout=30, verify=verify or True, trust_env=False) as client:
            deadline = time.monotonic() + seconds
            while not is_ready(client):
                assert process.poll() is None, f"it ended with {process.returncode}:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"not ready after {seconds} s:\n{log.read_text()}"
            yield Server(process, client, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        time.sleep(0.05)
        return False


@contextmanager
def bentoml_serve(
    log: Path, what: str = ".", verify: ssl.SSLContext | None = None, **environment: str
) -> Iterator[Server]:
    """`bentoml serve`, as a person types it, on a free port.

    It has a BENTOML_HOME of its own with a link to the models: a server that starts clears the metrics of all others
    with the same home.
    """
    home = log.parent / f"home-{log.name}"
    home.mkdir()
    (home / "models").symlink_to(Path(os.environ["BENTOML_HOME"]) / "models")
    environment = {"BENTOML_HOME": str(home), "SLIPWAY_DRAIN_SECONDS": "0"} | environment
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", what, "-p", str(port)]
    with running(command, port, log, verify=verify, **environment) as server:
        yield server


def workers(server: Server) -> list[psutil.Process]:
    """The processes of a server that answer."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that was killed a moment ago
            if "_bentoml_impl.worker.service" in child.cmdline():
                found.append(child)
    return found


def ask_example(client: httpx.Client, case: Case) -> httpx.Response:
    """The answer of the v1 API to the example of a case: a record in JSON, or a file."""
    if case.reads is not None:
        file = ROOT / "data" / f"{case.name}_example.wav"
        return client.post(case.route, files={"file": file.read_bytes()})
    return client.post(case.route, json={"records": [example(case.record)]})


def tensors(case: Case, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records of a case as the inputs of the Open Inference Protocol."""
    inputs = []
    for name, feature in features(case.record).items():
        data, width = [record[name] for record in records], 1
        if feature.is_list:
            width = max(map(len, data))
            data = [value for values in data for value in values + [0] * (width - len(values))]
        inputs.append({"name": name, "shape": [len(records), width], "datatype": feature.datatype, "data": data})
    return inputs


def start(store, **environment: str) -> tuple[int, list[str]]:
    """The exit code of a start that must fail, and what it prints."""
    command = [sys.executable, "-m", "bentoml", "serve", "-p", str(free_port())]
    environment = os.environ | {"BENTOML_HOME": str(store)} | environment
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    said = [line for line in (answer.stdout + answer.stderr).splitlines() if "[INFO]" not in line]
    return answer.returncode, said


def newest(store, case):
    return store / "models" / case / (store / "models" / case / "latest").read_text().strip()
