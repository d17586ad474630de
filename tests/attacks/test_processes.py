"""The processes of a server are killed: a worker is replaced, and none outlives its supervisor."""

import contextlib
import signal
import socket
import time
from collections import Counter

from support.server import bentoml_serve, workers
from support.wire import APIS, Wire, ask, get, is_gone, question, repeating

from slipway.serving.observe.metrics import FLUSH_SECONDS

STARTS = 10.0  # seconds, that a worker takes to start on a busy machine
GIVEN_UP = 30.0  # seconds, after which a client does not try again
COUNTERS = ["bentoml_service_request_total", "slipway_predictions_total"]


class RetryingClient:
    """Keeps its connection, and tries again what was not answered."""

    def __init__(self, server, api):
        self.server, self.api = server, api
        self.wire = None
        self.seen = Counter()
        self.slowest = 0.0

    def answered(self):
        return self.seen.total()

    def ask(self):
        asked = time.monotonic()
        while True:
            try:
                self.wire = self.wire or Wire(self.server)
                self.seen[self.wire.ask(question(self.api)).status] += 1
                self.slowest = max(self.slowest, time.monotonic() - asked)
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


def test_a_killed_worker_is_replaced_and_a_client_that_tries_again_loses_nothing(tmp_path):
    with bentoml_serve(tmp_path / "log") as server, contextlib.ExitStack() as stack:
        clients = [RetryingClient(server, api) for api in APIS for _ in range(2)]
        for client in clients:
            stack.enter_context(repeating(client.ask))
        (killed,) = workers(server)
        before = kill(server, killed)
        answered = [client.answered() for client in clients]
        deadline = time.monotonic() + GIVEN_UP
        while any(client.answered() < number + 20 for client, number in zip(clients, answered, strict=True)):
            assert time.monotonic() < deadline, "nobody took its place"
            time.sleep(0.05)
        assert workers(server) != [killed]
        for name, value in before.items():
            assert 0 < value <= counted(server, name), f"{name} went backwards"
        stack.close()
        while counted(server, "bentoml_service_request_in_progress") > 1:  # the question itself
            assert time.monotonic() < deadline, "those of the dead are still counted"
            time.sleep(0.2)
        for client in clients:
            assert set(client.seen) == {200}


def test_while_a_worker_is_replaced_the_other_one_answers_and_neither_outlives_the_supervisor(tmp_path):
    """Not even the one that is still starting when the supervisor is killed."""
    options = {"BENTOML_CONFIG_OPTIONS": "services.slipway.workers=2", "SLIPWAY_DRAIN_SECONDS": "60"}
    with bentoml_serve(tmp_path / "log", **options) as server, contextlib.ExitStack() as stack:
        killed, other = workers(server)
        clients = [RetryingClient(server, api) for api in APIS]
        with contextlib.ExitStack() as asking:
            for client in clients:
                asking.enter_context(repeating(client.ask))
            before = kill(server, killed)
            deadline = time.monotonic() + GIVEN_UP
            while not (new := [worker for worker in workers(server) if worker not in (killed, other)]):
                assert time.monotonic() < deadline, "nobody took its place"
                time.sleep(0.01)
            for name, value in before.items():
                assert 0 < value <= counted(server, name), f"{name} went backwards"
        for client in clients:
            assert set(client.seen) == {200}
            assert client.slowest < 5, "the other worker did not answer"
        for _ in range(10):  # clients who would like it to stay
            assert stack.enter_context(Wire(server)).ask(question("v1")).status == 200
        assert end_with_supervisor(server, [other, *new])


def test_a_worker_whose_supervisor_is_killed_ends_though_clients_ask_all_the_time(tmp_path):
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS="60") as server:
        client = RetryingClient(server, "v2")
        client.ask()

        def go_on():
            with contextlib.suppress(OSError):
                client.wire.ask(question("v2"))
            with contextlib.suppress(OSError):
                ask(server, question("v1"))

        with repeating(go_on):
            assert end_with_supervisor(server, workers(server))
        assert "Traceback" not in server.log.read_text()


def kill(server, worker):
    """Kill a worker; what was counted until then."""
    time.sleep(1.2 * FLUSH_SECONDS)  # what a worker has not handed over is lost with it
    before = {name: counted(server, name) for name in COUNTERS}
    worker.kill()
    return before


def end_with_supervisor(server, orphans):
    """Kill the supervisor; whether its workers are gone soon, and the port is free."""
    server.process.send_signal(signal.SIGKILL)
    assert server.process.wait(5) == -signal.SIGKILL
    deadline = time.monotonic() + STARTS + 5
    while not all(is_gone(orphan) for orphan in orphans):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    with socket.create_server(("127.0.0.1", server.client.base_url.port)):
        return True
