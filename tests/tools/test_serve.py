"""`make serve`: where it listens, what it says, and when it ends."""

import os
import pty
import shlex
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest
from support.server import ROOT, free_port

from slipway.tools.serve import AddressError, check, joined, resolve

MAKE = ["make", "-o", "models", "serve"]  # the tests' models are there
SHELL = ["bash", "-c", f"{shlex.join(MAKE)}; exit"]  # the shell is the first program of the terminal, and stays


@pytest.fixture
def environment(tmp_path):
    """That of a person who serves the tests' models, without waiting at the end."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(f"{os.environ['BENTOML_HOME']}/models")
    others = {name: value for name, value in os.environ.items() if name not in ("HOST", "PORT", "BENTOML_PORT")}
    return others | {"BENTOML_HOME": str(tmp_path / "home"), "SLIPWAY_DRAIN_SECONDS": "0"}


def refusal(environment, **variables):
    """What `make serve` says where it must not start."""
    answer = subprocess.run(MAKE, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    lines = [line for line in answer.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, answer.stderr
    return lines[0].removeprefix("slipway: ")


def wait_until_ready(address, process):
    deadline = time.monotonic() + 60
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.status() != psutil.STATUS_ZOMBIE:
            with suppress(httpx.TransportError):
                if client.get(f"http://{address}/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(f"nothing answers on {address}")


@contextmanager
def serving(environment, address, command, **variables):
    """A command in a terminal of its own that serves at an address: its process, all its children, the terminal."""
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(ROOT)
        os.execvpe(command[0], command, environment | variables)
    process = psutil.Process(process_id)
    children = []
    try:
        wait_until_ready(address, process)
        children = process.children(recursive=True)
        yield process, children, terminal
    finally:
        for each in [*children, process]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        with suppress(ChildProcessError):
            os.waitpid(process_id, 0)
        with suppress(OSError):
            os.close(terminal)


def read(terminal, end):
    """What a terminal shows, up to an end."""
    text = ""
    while end not in text:
        text += os.read(terminal, 4096).decode().replace("\r\n", "\n")
    return text


def all_end(processes):
    return psutil.wait_procs(processes, timeout=30)[1] == []


def has_ipv6():
    try:
        check("::1", free_port())
    except AddressError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "variables", "ip"),
    [
        ("BENTOML_PORT", {"BENTOML_HOST": "127.0.0.1"}, "127.0.0.1"),
        ("PORT", {"BENTOML_PORT": "1", "HOST": "localhost", "BENTOML_HOST": "192.0.2.1"}, "127.0.0.1"),
        pytest.param("PORT", {"HOST": "::1"}, "::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
    ],
)
def test_it_listens_where_it_says(environment, name, variables, ip):
    port = free_port()
    address = joined(ip, port)
    with serving(environment, address, MAKE, **variables | {name: str(port)}) as (_, children, terminal):
        shown = read(terminal, "north_ames\"}]}'\n")
        assert f"Slipway answers on http://{address} " in shown
        request = shown[shown.index("curl") :].partition("\n\n")[0]
        answer = subprocess.run(["bash", "-c", request], capture_output=True, text=True, timeout=30)
        assert '"price"' in answer.stdout
        sockets = [each for child in children for each in child.net_connections()]
        listening = {each.laddr for each in sockets if each.status == psutil.CONN_LISTEN}
        assert {each.ip for each in listening if each.port == port} == {ip}


def test_the_request_that_it_shows_goes_past_a_proxy(served):
    request = (ROOT / "docs" / "request.sh").read_text(encoding="utf-8")
    request = request.replace("127.0.0.1:3000", f"127.0.0.1:{served.client.base_url.port}")
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}
    answer = subprocess.run(["bash", "-c", request], env=os.environ | proxy, capture_output=True, text=True, timeout=30)
    assert '"price"' in answer.stdout


def test_a_port_that_is_taken_is_told_from_an_address_of_another_machine(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        why = refusal(environment, PORT=str(port))
        assert why == f"cannot listen on 127.0.0.1:{port}: the port is taken. Try make serve PORT={port + 1}"
        why = refusal(environment, PORT=str(port), HOST="192.0.2.1")  # nobody's: it is for examples (RFC 5737)
        assert why.startswith(f"cannot listen on 192.0.2.1:{port}: the address is not of this machine.")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a b", "x" * 70])
def test_what_is_no_host_is_said_in_one_line(environment, host):
    assert refusal(environment, HOST=host) == f"HOST={host} is neither an IP address nor a name that this machine knows"


@pytest.mark.parametrize(("name", "port"), [("PORT", "http"), ("PORT", "0"), ("BENTOML_PORT", "65536")])
def test_what_is_no_port_is_said_in_one_line(environment, name, port):
    assert refusal(environment, **{name: port}) == f"PORT={port} is no port: it must be a number from 1 to 65535"


def test_of_a_name_s_addresses_the_ipv4_one_is_taken(monkeypatch):
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve("localhost") == "127.0.0.1"


@pytest.mark.parametrize("command", [MAKE, SHELL], ids=["make", "shell"])
def test_it_ends_with_its_terminal(environment, command):
    port = free_port()
    with serving(environment, f"127.0.0.1:{port}", command, PORT=str(port)) as (process, children, terminal):
        os.close(terminal)
        assert all_end([process, *children])
    check("127.0.0.1", port)


def test_it_ends_with_ctrl_c(environment):
    port = free_port()
    with serving(environment, f"127.0.0.1:{port}", MAKE, PORT=str(port)) as (process, children, terminal):
        os.write(terminal, b"\x03")
        assert all_end([process, *children])


def test_the_service_ends_if_the_program_that_started_it_is_killed(environment):
    port = free_port()
    with serving(environment, f"127.0.0.1:{port}", MAKE, PORT=str(port)) as (process, children, _):
        starter = next(child for child in children if "slipway.tools.serve" in child.cmdline()[:3])
        starter.kill()
        assert all_end([process, *children])


def test_without_a_terminal_a_hangup_does_not_end_it_and_a_termination_of_make_does(environment, tmp_path):
    port = free_port()
    command = ["nohup", *MAKE, f"PORT={port}"]
    with (tmp_path / "log").open("wb") as log:
        make = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    children = []
    try:
        wait_until_ready(f"127.0.0.1:{port}", psutil.Process(make.pid))
        children = psutil.Process(make.pid).children(recursive=True)
        os.killpg(make.pid, signal.SIGHUP)
        assert len(psutil.wait_procs(children, timeout=1)[1]) == len(children)
        wait_until_ready(f"127.0.0.1:{port}", psutil.Process(make.pid))
        make.terminate()
        assert all_end(children)
    finally:
        for each in [*children, make]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        make.wait(30)
