"""The processes of a server are killed: a worker is replaced, and none outlives its supervisor."""

import contextlib
import signal
import socket
import threading
import time
from collections import Counter

import psutil
import pytest
from wire import DOORS, Wire, ask, get, question, workers

from conftest import bentoml_serve

AGAIN = 0.05  # seconds, after which a client tries again
GIVEN_UP = 30  # seconds, after which it would not


def options(number):
    return {"BENTOML_CONFIG_OPTIONS": f"services.slipway.workers={number}"}


def metric(server, name):
    """The sum of a metric's series."""
    deadline = time.monotonic() + GIVEN_UP
    while True:
        try:
            lines = ask(server, get("/metrics")).body.decode().splitlines()
            return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{"))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(AGAIN)


def retrying(server, door, until, seen):
    """Asks without a pause, and again what was not answered, until it is over; notes how long each answer took."""
    wire = None
    while not until.is_set():
        asked = time.monotonic()
        while True:
            try:
                wire = wire or Wire(server)
                seen[wire.ask(question(door)).status] += 1
                break
            except OSError:
                wire = None
                if time.monotonic() > asked + GIVEN_UP:
                    seen["given up"] += 1
                    return
                time.sleep(AGAIN)


@pytest.mark.parametrize("number", [1, 2], ids=["one worker", "two workers"])
def test_a_killed_worker_is_replaced_and_a_client_that_tries_again_loses_nothing(tmp_path, number):
    with bentoml_serve(tmp_path / "log", **options(number)) as server:
        first = workers(server)
        assert len(first) == number
        until, seen = threading.Event(), Counter()
        clients = [threading.Thread(target=retrying, args=(server, door, until, seen)) for door in DOORS]
        for each in clients:
            each.start()
        counted = []
        for killed in first[:1] * 1:
            while seen[200] < 100:
                time.sleep(AGAIN)
            time.sleep(1.2)  # a worker hands its counts over once a second
            counted.append(
                (metric(server, "bentoml_service_request_total"), metric(server, "slipway_predictions_total"))
            )
            before = seen[200]
            killed.kill()
            deadline = time.monotonic() + GIVEN_UP
            while len({worker.pid for worker in workers(server)} - {killed.pid}) < number:
                assert time.monotonic() < deadline, "nobody took its place"
                time.sleep(AGAIN)
            while seen[200] < before + 100:
                assert time.monotonic() < deadline, "nobody is answered"
                time.sleep(AGAIN)
            counted.append(
                (metric(server, "bentoml_service_request_total"), metric(server, "slipway_predictions_total"))
            )
        until.set()
        for each in clients:
            each.join()
        assert set(seen) == {200}, seen
        assert 0 < counted[0][0] <= counted[1][0]
        assert 0 < counted[0][1] <= counted[1][1]
        time.sleep(1.2)
        assert metric(server, "bentoml_service_request_in_progress") <= 1, "those of the dead are not forgotten"


@pytest.mark.parametrize("number", [1, 2], ids=["one worker", "two workers"])
def test_no_worker_outlives_a_killed_supervisor(tmp_path, number):
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS="60", **options(number)) as server:
        orphans = workers(server)
        assert len(orphans) == number
        with contextlib.ExitStack() as stack:
            for _ in range(10):  # some that would rather stay
                assert stack.enter_context(Wire(server)).ask(question("typed")).status == 200
            others = [
                each for each in psutil.Process(server.process.pid).children(recursive=True) if each not in orphans
            ]
            server.process.send_signal(signal.SIGKILL)
            gone, alive = psutil.wait_procs([*orphans, *others], timeout=5)
            assert not alive
            with socket.create_server(("127.0.0.1", server.client.base_url.port)):
                pass  # and the port is free
        assert "Traceback" not in server.log.read_text()
