"""Clients that keep a connection without using it: they are sent away, and others are served meanwhile."""

import asyncio
import contextlib
import json
import time
from collections import Counter

import pytest
from support.server import workers
from support.wire import APIS, Wire, ask, get, head, question, repeating, watching

from slipway.serving.http.limits import RECEIVE_TIMEOUT, SEND_TIMEOUT

CLEARED = 10.0  # seconds, within which half a request is gone
PROBE = 3.0  # seconds, that the image's health check waits for an answer


def halves(api):
    """Beginnings of requests, and what each goes on with."""
    path, _ = APIS[api]
    return [
        (b"", b""),
        (b"PO", b""),
        (b"POST " + path.encode(), b"a"),
        (head(path)[:-2], b"X"),
        (get("/livez")[:-2], b"X"),
        (head(path, "Content-Length: 1000"), b" "),
        (head(path, "Transfer-Encoding: chunked"), b"0"),
        (question(api)[:-30], b" "),
        (question(api, times=100)[:-1000], b" "),
        (question(api) + question(api)[:-30], b" "),
    ]


EARLY = [  # beginnings of requests that are answered before their body has ended, and the status of that answer
    (head("/v1/fruit", "Content-Length: 100000000"), 413),
    (head(APIS["v2"][0], "Content-Length: 100000000"), 413),
    (head("/v1/fruit", "Content-Length: 1000", *["X: a"] * 200), 431),
    (head("/livez", "Content-Length: 1000", method="GET"), 200),
    (head("/v2/health/ready", "Content-Length: 1000", method="GET"), 200),
]
HALF_OPEN = [half for api in APIS for half in halves(api)] * 25
ANSWERED_EARLY = [(begin, b" ") for begin, _ in EARLY * 10]
IDLE = [(b"", b"")] * 1_000
KEPT = 500  # connections that a load balancer keeps between two requests; with the idle ones more than may wait


async def trickle(port, begin, more):
    """Send a byte a second, or nothing; what came back, and after how many seconds the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(begin)

    async def go_on():
        with contextlib.suppress(OSError):
            while True:
                await asyncio.sleep(1)
                writer.write(more)
                await writer.drain()

    going_on = asyncio.create_task(go_on())
    answer = b""
    with contextlib.suppress(ConnectionError):  # it is closed while the next byte is on its way
        while part := await asyncio.wait_for(reader.read(65_536), 3 * CLEARED):
            answer += part
    going_on.cancel()
    writer.close()
    return answer, time.monotonic() - started


async def keep(port):
    """Ask, keep the connection for longer than a request may take, and ask again; the status of the second answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for wait in (RECEIVE_TIMEOUT + 2, 0):
        writer.write(question("v2"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        await asyncio.sleep(wait)
    writer.close()
    return int(head.split()[1])


async def trickles(port, begun):
    """What came of those who trickle, and of those who keep their connection."""
    trickling = asyncio.gather(*(trickle(port, begin, more) for begin, more in begun))
    keeping = asyncio.gather(*(keep(port) for _ in range(KEPT)))
    return await trickling, await keeping


@pytest.fixture(scope="module")
def slow(served):
    """What became of all those slow clients, who came at the same time, and of those who asked meanwhile.

    These send a request in two parts, and keep their connection for longer than one request may take.
    """
    statuses = Counter()
    with contextlib.ExitStack() as stack:
        wires = {api: stack.enter_context(Wire(served)) for api in APIS}

        def others():
            for api, wire in wires.items():
                data = question(api)
                wire.send(data[:-20])
                time.sleep(0.01)
                statuses[wire.ask(data[-20:]).status] += 1

        longest = stack.enter_context(watching(served))
        stack.enter_context(repeating(others))
        answers, kept = asyncio.run(trickles(served.client.base_url.port, HALF_OPEN + ANSWERED_EARLY + IDLE))
    half_open, early = answers[: len(HALF_OPEN)], answers[len(HALF_OPEN) : -len(IDLE)]
    return {
        "half open": half_open,
        "early": early,
        "idle": answers[-len(IDLE) :],
        "kept": kept,
        "others": statuses,
        "probe": longest(),
    }


def test_500_half_open_requests_are_cleared(served, slow):
    assert len(slow["half open"]) == 500
    assert max(seconds for _, seconds in slow["half open"]) < CLEARED
    for answer, _ in slow["half open"]:
        lines, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
        assert lines.startswith(b"HTTP/1.1 408 "), answer
        assert b"connection: close" in lines.lower()
        assert set(json.loads(body)) in ({"error", "detail", "request_id"}, {"error"})
        request_id = lines.lower().partition(b"x-request-id: ")[2].split()[0].decode()
        assert f"request {request_id}" in served.log.read_text()


def test_others_are_served_meanwhile(slow):
    assert set(slow["others"]) == {200}
    assert slow["others"][200] > 100
    assert slow["probe"] < PROBE


def test_who_was_answered_before_the_end_of_the_body_is_sent_away_too(slow):
    for (answer, seconds), (_, status) in zip(slow["early"], EARLY * 10, strict=True):
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.count(b"HTTP/1.1 ") == 1, "a second answer to one request"
        assert seconds < CLEARED


def test_connections_without_a_request_are_closed_and_take_no_place_from_others(slow):
    for answer, seconds in slow["idle"]:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert seconds < CLEARED


def test_connections_that_load_balancers_keep_stay_open(slow):
    assert slow["kept"] == [200] * KEPT


def test_who_does_not_read_the_answers_is_sent_away_while_others_are_served(served):
    """Their requests would otherwise be held for ever, and with them their places among those that may wait."""
    asks = [get("/static_content/swagger-ui-bundle.js") * 10, question("v2", times=1_000) * 100]
    ports = set()
    with contextlib.ExitStack() as stack:
        for number in range(100):
            wire = stack.enter_context(Wire(served, timeout=0.01, receive_buffer=2_048))
            with contextlib.suppress(TimeoutError):  # the server stops reading, too
                wire.send(asks[number % 10 == 0])
            ports.add(wire.socket.getsockname()[1])
        deadline = time.monotonic() + 10
        while ask(served, get("/livez")).status == 200 and held(served, ports) < 90:
            assert time.monotonic() < deadline, f"only {held(served, ports)} are held"
        deadline = time.monotonic() + RECEIVE_TIMEOUT + SEND_TIMEOUT + 2
        while held(served, ports):
            assert time.monotonic() < deadline, f"{held(served, ports)} are still there"
            for api in APIS:
                assert ask(served, question(api)).status == 200
            time.sleep(0.1)


def held(server, ports):
    """How many connections to clients on these ports the server has."""
    each = [connection for worker in workers(server) for connection in worker.net_connections()]
    return sum(connection.raddr.port in ports for connection in each if connection.raddr)


def test_who_reads_slowly_gets_the_whole_answer(served):
    with Wire(served, receive_buffer=2_048) as wire:
        wire.send(get("/static_content/swagger-ui-bundle.js"))
        lines = b"".join(iter(wire.file.readline, b"\r\n"))
        size = int(lines.lower().partition(b"content-length: ")[2].split()[0])
        read = 0
        for _ in range(20):
            read += len(wire.file.read(size // 20))
            time.sleep(0.1)
        assert read + len(wire.file.read(size - read)) == size


def test_clients_that_leave_are_no_failures_of_the_service(served):
    """Gone in the middle of a head, of a body, before an answer, and in the middle of one."""
    for api in APIS:
        for data in (question(api)[:20], question(api)[:-5], question(api), question(api, times=1_000)):
            for _ in range(20):
                with Wire(served) as wire:
                    wire.send(data)
    metrics = ask(served, get("/metrics")).body.decode()
    failed = [line for line in metrics.splitlines() if 'http_response_code="5' in line and "_total{" in line]
    failed += [line for line in metrics.splitlines() if 'outcome="failed"' in line]
    assert failed
    assert {float(line.split()[-1]) for line in failed} == {0.0}


def test_the_service_is_as_before(served):
    for api in APIS:
        assert ask(served, question(api)).status == 200
    assert "Traceback" not in served.log.read_text()
