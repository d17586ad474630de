"""`make bench`, for real but short: what it writes, what it refuses, and that its load counts what happens to it."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import joblib
import pytest

from benchmarks import __main__ as bench
from benchmarks import load
from benchmarks.load import measure, post
from benchmarks.measure import Measured, middle, rotations
from benchmarks.models import Trained
from benchmarks.report import report
from benchmarks.running import ServerError, running
from benchmarks.servers import SERVERS
from benchmarks.train import fit, split
from requirements.environments import locks

ROOT = Path(__file__).parents[2]
COMPARED = ["flask", "limit", "slipway-v2"]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The folder that a short bench of a few servers has written to."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks", "--smoke", *COMPARED, "--output", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def entries(output):
    return json.loads((output / "bench.json").read_text())


@pytest.fixture(scope="module")
def ridge(output):
    return Trained("ridge", output / "benchmarks" / "ridge")


def test_each_server_has_an_entry_with_every_figure(entries):
    assert [entry["server"] for entry in entries] == COMPARED
    for entry in entries:
        assert entry.keys() == {
            "server", "model", "rows", "clients", "rps", "cpu_us_per_request", "p50_ms", "p99_ms", "errors",
            "cpu_us_slices", "versions", "machine",
        }  # fmt: skip
        assert (entry["model"], entry["rows"], entry["clients"]) == ("ridge", 1, 4)
        assert entry["errors"] == 0 < entry["rps"]
        assert 0 < entry["p50_ms"] <= entry["p99_ms"]
        # four clients that wait for each answer: by Little's law, answers a second times seconds an answer is four
        assert entry["rps"] * entry["p50_ms"] / 1000 < 8
        assert [entry["cpu_us_per_request"]] == entry["cpu_us_slices"]
        assert entry["cpu_us_per_request"] > 0
        assert entry["machine"]["cores"] == os.cpu_count()
    assert entries[0]["versions"].keys() == {"flask", "gunicorn", "scikit-learn", "pandas", "python"}


def test_scikit_learn_answers_the_fewest(entries):
    assert min(entries, key=lambda entry: entry["rps"])["server"] == "flask"


def test_the_page_has_a_table_with_the_ratios(output, entries):
    page = (output / "bench.md").read_text()
    flask, _, ours = entries
    assert "| Flask, scikit-learn | nothing |" in page
    assert "| Slipway, v2 API | types, ranges and words |" in page
    assert f"| Flask, scikit-learn | {ours['rps'] / flask['rps']:,.2f}× |" in page
    assert page == report(entries, json.loads((output / "bench_servers.json").read_text()))


def test_a_server_of_another_model_is_refused(ridge, tmp_path):
    train, _ = split()
    joblib.dump(fit("ridge", train.head(500)), tmp_path / "model.joblib")
    other = replace(SERVERS["flask"], variables={"MODEL": str(tmp_path / "model.joblib")})
    with (
        running(other, ridge) as started,
        pytest.raises(ServerError, match=r"flask serves another model: .* House \d+"),
    ):
        started.check(ridge)
    assert not started.process.is_running()


@pytest.mark.parametrize(
    ("name", "said", "checked"),
    [
        ("flask", "types", "nothing"),
        ("fastapi-onnx", "nothing", "types"),
        ("fastapi-onnx", "types, ranges and words", "types"),
    ],
)
def test_a_server_that_checks_something_else_than_is_said_of_it_is_refused(ridge, name, said, checked):
    other = replace(SERVERS[name], checks_input=said)
    with (
        running(other, ridge) as started,
        pytest.raises(ServerError, match=f"{name} is said to check {said}. It checks {checked}:"),
    ):
        started.check(ridge)


@pytest.mark.parametrize("name", ["fastapi-onnx", "slipway-v1", "mosec"])
def test_a_server_prices_houses_and_checks_what_is_said_of_it(ridge, name):
    with running(SERVERS[name], ridge) as started:
        started.check(ridge)


def test_every_environment_has_a_lock():
    assert {server.environment for server in SERVERS.values() if server.environment} <= locks().keys()


def test_the_log_of_a_server_that_does_not_start_is_shown(ridge):
    broken = replace(SERVERS["flask"], command="gunicorn --bind 127.0.0.1:{port} no_such_app:app")
    with pytest.raises(ServerError, match="No module named 'no_such_app'"), running(broken, ridge):
        pass


def test_a_server_that_refuses_the_request_is_not_waited_for(ridge):
    misread = replace(SERVERS["fastapi-onnx"], body=lambda houses: {"houses": houses})
    with pytest.raises(ServerError, match=r"fastapi-onnx refuses the bench's request: .*422"), running(misread, ridge):
        pass


def test_an_unknown_server_is_answered_with_the_names(capsys):
    assert bench.main(["flask", "flsk"]) == 1
    said = capsys.readouterr().err
    assert said == f"bench: no server is named flsk. There are {', '.join(SERVERS)}\n"


class EveryThird(BaseHTTPRequestHandler):
    """Answers with 200, 500, and not at all, in turn."""

    protocol_version = "HTTP/1.1"
    number = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).number += 1
        match type(self).number % 3:
            case 0:
                self.close_connection = True
            case kind:
                self.send_response(200 if kind == 1 else 500)
                self.send_header("Content-Length", "0")
                self.end_headers()

    def log_message(self, *_):
        pass


def test_the_load_counts_errors_and_lost_connections_and_goes_on():
    with ThreadingHTTPServer(("127.0.0.1", 0), EveryThird) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        seen = measure(server.server_address[1], [post("/", b"{}")], 1, 0.3)
        server.shutdown()
    assert seen.asked == EveryThird.number > 10
    assert abs(seen.errors - seen.asked * 2 / 3) <= 1
    assert 0 < len(seen.latencies) < seen.asked / 3


def test_a_request_that_is_never_answered_is_an_error_and_ends_nothing(monkeypatch):
    monkeypatch.setattr(load, "PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connections, nobody reads them
        seen = measure(silent.getsockname()[1], [post("/", b"{}")], 2, 0.3)
    assert seen.errors == seen.asked >= 4
    assert not seen.latencies


def test_a_figure_is_the_median_of_its_slices_but_every_error_counts():
    slices = [Measured(rps, 1.0, 1.0, 1.0, errors, 1.0, 1.0) for rps, errors in ((100, 0), (900, 2), (120, 0))]
    assert (middle(slices).rps, middle(slices).errors) == (120, 2)


def test_no_server_is_always_the_first():
    assert list(rotations("abc", 4)) == [list("abc"), list("bca"), list("cab"), list("abc")]
