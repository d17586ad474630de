"""Watch a running service with Prometheus and Alertmanager: `make monitor`.

Both read the files of `deploy/monitoring/`, listen on 127.0.0.1 only and end together. The rules look back over an
hour, which is long for a person who waits: time may run faster for them. Every duration in the files is then divided by
one number, and nothing else changes, so there is no second copy of a rule.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.tools.together import end_together, end_with_terminal

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "monitoring"
MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
DURATION = re.compile(r"(?P<interval>interval: )?\b(?P<number>\d+)(?P<unit>ms|[smhd])\b")
SHORTEST_INTERVAL = 1_000  # ms: the workers hand over their counts once a second
START_SECONDS = 30
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would ask its own machine


class MonitorError(Exception):
    """A program that is missing or does not start, or a port that is taken."""


@dataclass(frozen=True)
class Monitor:
    """A Prometheus and an Alertmanager at work: their addresses and processes."""

    prometheus: str
    alertmanager: str
    processes: Sequence[subprocess.Popen[bytes]]

    def wait(self) -> None:
        """Returns when one of the two has ended."""
        while all(process.poll() is None for process in self.processes):
            try:
                self.processes[0].wait(1)
            except subprocess.TimeoutExpired:
                continue


def faster(text: str, speed: float) -> str:
    """A configuration whose every duration is divided by `speed`; what happens at intervals, at most once a second."""

    def shorter(match: re.Match[str]) -> str:
        length = round(int(match["number"]) * MILLISECONDS[match["unit"]] / speed)
        length = max(length, SHORTEST_INTERVAL if match["interval"] else 1)
        unit = next(unit for unit, size in MILLISECONDS.items() if length % size == 0)
        return f"{match['interval'] or ''}{length // MILLISECONDS[unit]}{unit}"

    return DURATION.sub(shorter, text)


def write_configuration(folder: Path, targets: Sequence[str], alertmanager: str, token: str, speed: float) -> None:
    """The files of `deploy/monitoring/` for these targets (host:port) and this Alertmanager, in another folder."""
    for path in CONFIGURATION.glob("*.yml"):
        (folder / path.name).write_text(faster(path.read_text(encoding="utf-8"), speed), encoding="utf-8")
    configuration = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    if token:
        (folder / "token").touch(0o600)
        (folder / "token").write_text(token, encoding="utf-8")
        configuration["scrape_configs"][0]["authorization"] = {"credentials_file": "token"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    (folder / "targets.yml").write_text(yaml.safe_dump([{"targets": list(targets)}]), encoding="utf-8")


def find(*names: str) -> str:
    """The first of these programs that the PATH has: Debian names some otherwise than their authors."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise MonitorError(
        f"{names[0]} is not installed. Debian and Ubuntu: apt-get install prometheus prometheus-alertmanager; "
        "macOS: brew install prometheus alertmanager"
    )


def programs() -> tuple[str, str]:
    """Prometheus and Alertmanager. Raises MonitorError if one of them is not installed."""
    return find("prometheus"), find("alertmanager", "prometheus-alertmanager")


def check_port(port: int) -> None:
    """Raises MonitorError if a port of 127.0.0.1 is taken."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise MonitorError(
            f"cannot listen on 127.0.0.1:{port}: {os.strerror(error.errno or 0)}. Debian starts what it installs; "
            "`systemctl disable --now prometheus prometheus-alertmanager` ends that, or choose PROMETHEUS_PORT and "
            "ALERTMANAGER_PORT"
        ) from error


def answers(address: str) -> bool:
    """Whether something there says that it is well."""
    try:
        with DIRECT.open(address, timeout=2):
            return True
    except OSError:  # refused, reset, timed out, or a status of 400 and more
        return False


@contextmanager
def started(command: list[str], address: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves at an address, ready; ended in the end. Raises MonitorError with what went wrong."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    end_together(process)  # also if this program is killed
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{address}/-/ready"):
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace").splitlines()
                why = [line for line in said if "level=error" in line.lower()][:1] or said[-1:]
                raise MonitorError(f"{Path(command[0]).name} did not start: {''.join(why)}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def watching(
    targets: Sequence[str],
    folder: Path,
    *,
    prometheus_port: int,
    alertmanager_port: int,
    speed: float = 1,
    token: str = "",
) -> Iterator[Monitor]:
    """Prometheus and Alertmanager at work on the replicas of a service.

    targets: host:port of each replica
    folder: an empty one, for the configuration, the measurements and the logs
    speed: how much faster time runs in the rules
    token: one of the service's SLIPWAY_TOKENS, if it asks for them

    Raises MonitorError if one of the two is missing, or cannot start.
    """
    prometheus, alertmanager = programs()
    for port in (prometheus_port, alertmanager_port):
        check_port(port)
    write_configuration(folder, targets, f"127.0.0.1:{alertmanager_port}", token, speed)
    notify = [
        alertmanager,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{alertmanager_port}",
        "--cluster.listen-address=",  # it would listen for others of its kind, on every interface
    ]
    watch = [
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{prometheus_port}",
    ]
    here, there = f"http://127.0.0.1:{prometheus_port}", f"http://127.0.0.1:{alertmanager_port}"
    with (
        started(notify, there, folder / "alertmanager.log") as notifier,
        started(watch, here, folder / "prometheus.log") as watcher,
    ):
        yield Monitor(prometheus=here, alertmanager=there, processes=(watcher, notifier))


def page(prometheus: str, name: str) -> str:
    """Where a page of Prometheus is: Debian's has the older ones only."""
    address = f"{prometheus}/{name}"
    return address if answers(address) else f"{prometheus}/classic/{name}"


WELCOME = """
Prometheus watches {replicas}   (stop: Ctrl+C). {pace}

  drift          {graph}?g0.expr=slipway%3Afeature%3Apsi&g0.tab=0&g0.range_input=15m
  alerts         {alerts}
  targets        {targets}
  notifications  amtool alert --alertmanager.url={alertmanager}
  dashboard      in Grafana, add a Prometheus data source with the URL {prometheus},
                 then Dashboards, New, Import: {dashboard}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Watch a running service with Prometheus and Alertmanager.")
    parser.add_argument("targets", nargs="*", default=["127.0.0.1:3000"], help="host:port of each replica")
    parser.add_argument("--prometheus-port", type=int, default=9090)
    parser.add_argument("--alertmanager-port", type=int, default=9093)
    parser.add_argument("--speed", type=float, default=1, help="how much faster time runs in the rules")
    options = parser.parse_args()
    pace = f"An hour of the rules lasts {faster('1h', options.speed)} here." if options.speed != 1 else ""
    token = os.environ.get("SLIPWAY_TOKENS", "").split(",")[0].strip()
    for number in (signal.SIGINT, signal.SIGTERM):  # both, also where a shell started this in the background
        signal.signal(number, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # the terminal was closed; `nohup make monitor` stays
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    end_with_terminal()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="slipway-monitor-") as folder,
            watching(
                options.targets,
                Path(folder),
                prometheus_port=options.prometheus_port,
                alertmanager_port=options.alertmanager_port,
                speed=options.speed,
                token=token,
            ) as monitor,
        ):
            print(
                WELCOME.format(
                    replicas=", ".join(options.targets),
                    pace=pace,
                    graph=page(monitor.prometheus, "graph"),
                    alerts=page(monitor.prometheus, "alerts"),
                    targets=page(monitor.prometheus, "targets"),
                    prometheus=monitor.prometheus,
                    alertmanager=monitor.alertmanager,
                    dashboard=os.path.relpath(CONFIGURATION / "dashboard.json"),
                ),
                flush=True,
            )
            for target in options.targets:
                if not answers(f"http://{target}/livez"):
                    print(f"Nothing answers on {target} yet: `make serve`, in another terminal.", flush=True)
            monitor.wait()
            raise MonitorError("Prometheus or Alertmanager ended by itself")
    except KeyboardInterrupt:
        return 0
    except MonitorError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
