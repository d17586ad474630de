"""The processes of a server are killed: a worker is replaced, and none outlives its supervisor."""

import contextlib
import signal
import socket
import time
from collections import Counter

import psutil
import pytest
from wire import DOORS, Wire, ask, get, question, repeating, workers

from conftest import bentoml_serve
from slipway.serving.metrics import FLUSH_SECONDS

STARTS = 10.0  # seconds, that a worker takes to start on a busy machine
GIVEN_UP = 30.0  # seconds, after which a client does not try again
COUNTERS = ["bentoml_service_request_total", "slipway_predictions_total"]


def options(number):
    return {"BENTOML_CONFIG_OPTIONS": f"services.slipway.workers={number}"}


class RetryingClient:
    """Keeps its connection, and tries again what was not answered."""

    def __init__(self, server, door):
        self.server, self.door = server, door
        self.wire = None
        self.seen = Counter()

    def ask(self):
        asked = time.monotonic()
        while True:
            try:
                self.wire = self.wire or Wire(self.server)
                self.seen[self.wire.ask(question(self.door)).status] += 1
                time.sleep(0.01)
                return
            except OSError:
                self.wire = None
                assert time.monotonic() < asked + GIVEN_UP, "nobody answers"
                time.sleep(0.05)


def counted(server, name):
    """The sum of a metric's series."""
    lines = ask(server, get("/metrics")).body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{"))


@pytest.mark.parametrize("number", [1, 2], ids=["one worker", "two workers"])
def test_a_killed_worker_is_replaced_and_a_client_that_tries_again_loses_nothing(tmp_path, number):
    with bentoml_serve(tmp_path / "log", **options(number)) as server, contextlib.ExitStack() as stack:
        clients = [RetryingClient(server, door) for door in DOORS for _ in range(2)]
        for client in clients:
            stack.enter_context(repeating(client.ask))
        killed, *_ = workers(server)
        time.sleep(1.2 * FLUSH_SECONDS)  # what a worker has not handed over is lost with it
        before = {name: counted(server, name) for name in COUNTERS}

        killed.kill()
        answered = [client.seen[200] for client in clients]
        deadline = time.monotonic() + GIVEN_UP
        while len({worker.pid for worker in workers(server)} - {killed.pid}) < number:
            assert time.monotonic() < deadline, "nobody took its place"
            time.sleep(0.05)
        for client, number_before in zip(clients, answered, strict=True):
            while client.seen[200] < number_before + 20:
                assert time.monotonic() < deadline, "nobody is answered"
                time.sleep(0.05)
        assert all(set(client.seen) == {200} for client in clients)

        for name, value in before.items():
            assert 0 < value <= counted(server, name), f"{name} went backwards"
        stack.close()
        while counted(server, "bentoml_service_request_in_progress") > 1:  # the question itself
            assert time.monotonic() < deadline, "those of the dead are still counted"
            time.sleep(0.2)


@pytest.mark.parametrize("number", [1, 2], ids=["one worker", "two workers"])
def test_no_worker_outlives_a_killed_supervisor(tmp_path, number):
    """Neither one with clients who would like it to stay, nor one that is only starting."""
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS="60", **options(number)) as server:
        orphans = workers(server)
        assert len(orphans) == number
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                assert stack.enter_context(Wire(server)).ask(question("typed")).status == 200
            if number == 2:
                orphans[1].kill()
                while len({*workers(server)} - {*orphans}) < 1:
                    time.sleep(0.01)
                orphans = [orphans[0], *({*workers(server)} - {*orphans})]
            server.process.send_signal(signal.SIGKILL)
            assert not psutil.wait_procs(orphans, timeout=5 + STARTS)[1]
            assert server.process.wait(5) == -signal.SIGKILL
        with socket.create_server(("127.0.0.1", server.client.base_url.port)):
            pass  # the port is free
        assert "Traceback" not in server.log.read_text()


def test_a_worker_whose_supervisor_is_killed_ends_though_clients_ask_all_the_time(tmp_path):
    with bentoml_serve(tmp_path / "log") as server:
        (orphan,) = workers(server)
        client = RetryingClient(server, "second")
        client.ask()
        server.process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while orphan.is_running():
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                client.wire.ask(question("second"))
            with contextlib.suppress(OSError):
                ask(server, question("second"))
