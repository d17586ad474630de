"""The end of a server: whoever asks until it says that it is not ready is answered, and then it is gone."""

import contextlib
import signal
import time
from collections import Counter

import pytest
from support.server import bentoml_serve, workers
from support.wire import APIS, Wire, ask, get, is_gone, question, repeating

DRAIN = 2.0
READINESS = ["/readyz", "/v2/health/ready", "/v2/models/fruit/ready"]


def options(number):
    return {"BENTOML_CONFIG_OPTIONS": f"services.slipway.workers={number}"}


class Client:
    """Keeps its connection until the server asks it not to; tries nothing again."""

    def __init__(self, server, api):
        self.server, self.api = server, api
        self.wire = None
        self.seen = Counter()

    def ask(self):
        try:
            self.wire = self.wire or Wire(self.server)
            answer = self.wire.ask(question(self.api))
            self.seen[answer.status] += 1
            is_kept = answer.headers.get("connection") != "close"
        except OSError as error:
            self.seen[repr(error)] += 1
            is_kept = False
        if not is_kept:
            self.wire = None
        time.sleep(0.002)


@pytest.mark.parametrize("number", [1, 2], ids=["one worker", "two workers"])
def test_a_server_that_is_asked_to_end_answers_all_who_could_not_know(tmp_path, number):
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS=str(DRAIN), **options(number)) as server:
        processes = workers(server)
        assert len(processes) == number
        clients = [Client(server, api) for api in APIS for _ in range(2)]
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(Wire(server)) for _ in range(4)]
            for wire in idle:
                assert wire.ask(question("v1")).headers.get("connection") != "close"
            halves = {api: stack.enter_context(Wire(server)) for api in APIS}
            for api, wire in halves.items():
                wire.send(question(api)[:-10])

            with contextlib.ExitStack() as asking:
                for client in clients:
                    asking.enter_context(repeating(client.ask))
                told = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                while ask(server, get("/readyz")).status == 200:
                    assert time.monotonic() < told + DRAIN, "it never said that it is not ready"
                time.sleep(DRAIN / 4)  # until the last of those who ask has seen it
            for client in clients:
                assert set(client.seen) == {200}
                assert client.seen[200] >= 10

            while ask(server, get("/readyz")).status == 200:  # of several workers, the other one
                assert time.monotonic() < told + DRAIN
            for path in READINESS:
                assert ask(server, get(path)).status == 503
            assert ask(server, get("/livez")).status == 200
            for wire in idle:
                answer = wire.ask(question("v2"))
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert wire.is_closed(1)
            time.sleep(max(0.0, told + DRAIN / 2 - time.monotonic()))
            for api, wire in halves.items():
                assert wire.ask(question(api)[-10:]).status == 200
                answer = ask(server, question(api))
                assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(DRAIN + 5) == 0
        assert DRAIN <= time.monotonic() - told < DRAIN + 5
        assert all(is_gone(process) for process in processes)
        assert "Traceback" not in server.log.read_text()


def test_a_readiness_that_is_refused_has_the_one_shape(tmp_path):
    """And who neither finishes a request, nor reads an answer, nor asks at all cannot keep the server from ending."""
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS="1") as server, contextlib.ExitStack() as stack:
        for data in (b"", b"PO", question("v1")[:-5], get("/static_content/swagger-ui-bundle.js") * 20):
            wire = stack.enter_context(Wire(server, receive_buffer=2_048))
            wire.send(data)
        stack.enter_context(Wire(server)).ask(get("/livez"))
        server.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        while (answer := ask(server, get("/readyz"))).status == 200:
            assert time.monotonic() < told + 1
        assert set(answer.json()) == {"error", "detail", "request_id"}
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["Ctrl+C", "SIGTERM twice"]
)
def test_who_is_in_a_hurry_does_not_wait(tmp_path, signals):
    with bentoml_serve(tmp_path / "log", SLIPWAY_DRAIN_SECONDS="60") as server, Wire(server) as wire:
        assert wire.ask(get("/livez")).status == 200
        processes = workers(server)
        told = time.monotonic()
        for number in signals:  # as from a terminal: to all of its foreground
            server.process.send_signal(number)
            for process in processes:
                process.send_signal(number)
            time.sleep(0.2)
        server.process.wait(10)
        assert time.monotonic() - told < 5
        assert all(is_gone(process) for process in processes)
        assert "Traceback" not in server.log.read_text()
