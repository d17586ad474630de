"""`make monitor`: Prometheus and Alertmanager for a person, beside a service."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from support.server import free_port

import slipway.tools.monitor
from slipway.tools.monitor import CONFIGURATION, MonitorError, faster, programs, watching, write_configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed():
    try:
        programs()
    except MonitorError as error:
        pytest.skip(str(error))


def command(*options, target="127.0.0.1:1"):
    return [sys.executable, "-m", "slipway.tools.monitor", target, *options]


@dataclass
class Running:
    """`python -m slipway.tools.monitor` at work, on nothing: its two processes, their ports, and what it printed."""

    process: subprocess.Popen
    children: list[psutil.Process]
    ports: set[int]
    said: str


@pytest.fixture
def monitor(installed):
    ports = free_port(), free_port()
    options = f"--prometheus-port={ports[0]}", f"--alertmanager-port={ports[1]}", "--speed=60"
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}  # nobody there: it must not be asked
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command(*options), cwd=ROOT, env=os.environ | proxy, **pipes)
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("Nothing answers on 127.0.0.1:1 yet"):  # the last that it prints
                break
        children = psutil.Process(process.pid).children()
        children = [child for child in children if "together.py" not in child.cmdline()[-1]]  # that one watches
        assert len(children) == 2, "".join(said)
        yield Running(process, children, set(ports), "".join(said))
    finally:
        process.terminate()
        process.communicate()


def test_at_its_own_speed_a_configuration_stays_as_it_is():
    for path in CONFIGURATION.glob("*.yml"):
        assert faster(path.read_text(), 1) == path.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate(requests_total[5m])", "rate(requests_total[5s])"),
        ("for: 15m", "for: 15s"),
        ('psi{window="1h"} > 0.2', 'psi{window="1m"} > 0.2'),
        ("[1d:1h]", "[24m:1m]"),
        ("group_wait: 30s", "group_wait: 500ms"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),  # the workers hand over once a second
        ("interval: 2m", "interval: 2s"),
        ("100 * reference, 429, 127.0.0.1:9093, 5xx, p99", "100 * reference, 429, 127.0.0.1:9093, 5xx, p99"),
    ],
)
def test_sixty_times_faster_a_minute_is_a_second_and_all_else_is_the_same(text, expected):
    assert faster(text, 60) == expected


def test_every_rule_is_there_at_any_speed():
    """What is not a duration is the same, so a rule that is tested fast is the rule that runs."""
    text = (CONFIGURATION / "rules.yml").read_text() + (CONFIGURATION / "alerts.yml").read_text()
    duration = re.compile(r"\b\d+(ms|[smhd])\b")
    assert faster(text, 60) != text
    assert duration.sub("", faster(text, 60)) == duration.sub("", text)


def test_a_token_is_in_a_file_that_nobody_else_may_read(tmp_path):
    write_configuration(tmp_path, ["127.0.0.1:3000"], "127.0.0.1:9093", "secret", 1)
    (job,) = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    token = tmp_path / job["authorization"]["credentials_file"]
    assert token.read_text() == "secret"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_the_pages_that_it_prints_are_there(monitor):
    pages = re.findall(r"http://[^\s,]+", monitor.said)
    assert len(pages) == 5
    assert {httpx.get(page, follow_redirects=True).status_code for page in pages} == {200}
    assert "An hour of the rules lasts 1m here" in monitor.said
    assert (ROOT / re.search(r"Import: (\S+)", monitor.said)[1]).exists()


def test_they_listen_on_this_machine_only(monitor):
    sockets = [each for child in monitor.children for each in child.net_connections()]
    listening = {(each.laddr.ip, each.laddr.port) for each in sockets if each.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", port) for port in monitor.ports}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_both_and_so_does_a_termination_or_a_closed_terminal(monitor, stop):
    monitor.process.send_signal(stop)
    assert monitor.process.wait(20) == 0
    assert not any(child.is_running() for child in monitor.children)
    assert monitor.process.stderr.read() == ""


def test_they_end_as_well_if_it_is_killed(monitor):
    monitor.process.kill()
    assert psutil.wait_procs(monitor.children, timeout=30)[1] == []


def test_if_one_of_them_dies_the_other_ends_too_and_it_says_so(monitor):
    monitor.children[0].kill()
    assert monitor.process.wait(20) == 1
    assert monitor.process.stderr.read() == "slipway: Prometheus or Alertmanager ended by itself\n"
    assert not monitor.children[1].is_running()


@pytest.mark.parametrize("which", ["prometheus", "alertmanager"])
def test_a_port_that_is_taken_is_said_in_one_line(installed, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = subprocess.run(command(f"--{which}-port={port}"), cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"slipway: cannot listen on 127.0.0.1:{port}: ")
    assert len(answer.stderr.splitlines()) == 1


def test_so_is_a_program_that_is_not_installed(tmp_path):
    answer = subprocess.run(command(), cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr.startswith("slipway: prometheus is not installed. Debian and Ubuntu: apt-get install")
    assert len(answer.stderr.splitlines()) == 1


def test_what_prometheus_says_of_a_rule_that_it_does_not_take_is_passed_on(installed, tmp_path, monkeypatch):
    broken = shutil.copytree(CONFIGURATION, tmp_path / "broken")
    (broken / "rules.yml").write_text("groups: [{name: broken, rules: [{record: one, expr: 1 +}]}]")
    monkeypatch.setattr(slipway.tools.monitor, "CONFIGURATION", broken)
    ports = {"prometheus_port": free_port(), "alertmanager_port": free_port()}
    starting = watching(["127.0.0.1:1"], tmp_path, **ports)
    with pytest.raises(MonitorError, match=r"prometheus did not start: .*rules\.yml.*parse error"), starting:
        pass


def test_make_monitor_says_that_its_port_is_taken(installed):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = f"PROMETHEUS_PORT={port}", f"ALERTMANAGER_PORT={free_port()}"
        make = ["make", "-o", ".venv/installed", "monitor", *ports]  # whatever the date of the lock: it is installed
        answer = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}" in answer.stderr
    assert "Traceback" not in answer.stderr
