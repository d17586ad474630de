"""Too much: bodies that are too large, and too many requests at once. It is refused at once, and takes no memory."""

import asyncio
import contextlib
import time
from collections import Counter

import pytest
from support.wire import (
    APIS,
    HOUSE,
    Wire,
    ask,
    check_error,
    get,
    head,
    log_lines,
    memory,
    post,
    question,
    watching,
    weighing,
)

from slipway.serving.http.limits import (
    MAX_BODY_BYTES,
    MAX_BUFFERED_BYTES,
    MAX_QUEUE_SECONDS,
    MAX_RECORDS,
    RETRY_AFTER_SECONDS,
)

SIZE = 100_000_000
BLOCK = b"a" * 65_536
AT_ONCE = 1.0  # seconds, in which a body is refused; a plain BentoML service takes 26
FLAT = 10_000_000  # bytes, by which memory may grow; a plain BentoML service takes 3.6 GB
PROBE = 3.0  # seconds, that the image's health check waits for an answer


@pytest.mark.parametrize("api", APIS)
def test_a_body_that_is_said_to_be_too_large_gets_413_before_it_is_sent(served, api):
    with weighing(served) as grown, Wire(served) as wire:
        started = time.monotonic()
        answer = wire.ask(head(APIS[api][0], f"Content-Length: {SIZE}"))
        assert time.monotonic() - started < AT_ONCE
    check_error(served, answer, 413, api)
    assert grown() < FLAT


@pytest.mark.parametrize("api", APIS)
def test_a_body_in_chunks_gets_413_as_soon_as_it_is_too_large(served, api):
    chunk = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
    with weighing(served) as grown, Wire(served) as wire:
        started = time.monotonic()
        answer = wire.ask(head(APIS[api][0], "Transfer-Encoding: chunked") + chunk * (MAX_BODY_BYTES // len(BLOCK) + 1))
        assert time.monotonic() - started < AT_ONCE
    check_error(served, answer, 413, api)
    assert grown() < FLAT


@pytest.mark.parametrize("form", ["with a length", "in chunks", "in chunks of one byte", "to a probe"])
@pytest.mark.parametrize("api", APIS)
def test_who_sends_it_all_the_same_is_answered_once_and_takes_no_memory(served, api, form):
    """A client that does not listen while it sends: it finds the answer afterwards, and may ask again."""
    block, size, end = BLOCK, SIZE, b"0\r\n\r\n"
    path = "/livez" if form == "to a probe" else APIS[api][0]
    begin = head(path, "Transfer-Encoding: chunked")
    if form == "with a length":
        begin, end = head(path, f"Content-Length: {SIZE}"), b"a" * (SIZE % len(BLOCK))
    elif form == "in chunks of one byte":
        block, size = b"1\r\na\r\n" * 10_000, 30_000_000
    else:
        block = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
    with weighing(served) as grown, watching(served), Wire(served) as wire:
        wire.send(begin)
        for _ in range(size // len(block)):
            wire.send(block)
        wire.send(end)
        answer = wire.answer()
        assert wire.ask(question(api)).status == 200
    assert answer.status == (405 if form == "to a probe" else 413)
    assert grown() < FLAT


@pytest.mark.parametrize("api", APIS)
def test_ten_at_a_time_take_no_memory_either(served, api):
    with weighing(served) as grown, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(served)) for _ in range(10)]
        for wire in wires:
            wire.send(head(APIS[api][0], f"Content-Length: {SIZE}"))
        for _ in range(100):
            for wire in wires:
                wire.send(BLOCK)
        for wire in wires:
            check_error(served, wire.answer(), 413, api)
    assert grown() < FLAT


async def asked(port, data, gate):
    """The status of an answer and its headers, or what happened to the connection instead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await gate.wait()
    try:
        writer.write(data)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), headers, body
    except (OSError, asyncio.IncompleteReadError) as error:
        return repr(error), {}, b""
    finally:
        writer.close()


async def at_once(port, data, number):
    """The answers to so many requests, each on its own connection, all sent at the same moment."""
    gate = asyncio.Barrier(number)
    return await asyncio.gather(*(asked(port, data, gate) for _ in range(number)))


FLOODS = {
    "1,000 of one record": (1_000, "/v1/fruit", lambda: question("v1")),
    "1,000 of one row": (1_000, "/v2/models/fruit/infer", lambda: question("v2")),
    "3,000 of one row": (3_000, "/v2/models/fruit/infer", lambda: question("v2")),
    "1,000 of 1,000 records": (
        1_000,
        "/v1/house-price",
        lambda: post("/v1/house-price", APIS["v1"][1](*[HOUSE] * MAX_RECORDS)),
    ),
    "1,000 of 1,000 rows": (
        1_000,
        "/v2/models/house_price/infer",
        lambda: post("/v2/models/house_price/infer", APIS["v2"][1](*[HOUSE] * MAX_RECORDS)),
    ),
    "1,000 that are wrong": (1_000, "/v1/fruit", lambda: post("/v1/fruit", b'{"records":[{}]}')),
    "1,000 that are too large": (1_000, "/v1/fruit", lambda: head("/v1/fruit", f"Content-Length: {SIZE}")),
}


@pytest.mark.parametrize(("number", "path", "data"), FLOODS.values(), ids=FLOODS)
def test_a_thousand_connections_at_once_are_all_answered(served, number, path, data):
    """With what they asked for, or with 429 and when to come again; no connection is reset, and probes are answered."""
    with weighing(served) as grown, watching(served) as longest:
        answers = asyncio.run(at_once(served.client.base_url.port, data(), number))
    counts = Counter(status for status, _, _ in answers)
    first = ask(served, data()).status  # the status of one that comes alone
    assert set(counts) <= {first, 429}, counts
    assert counts[first] >= 10, counts
    for status, headers, _ in answers:
        assert headers["x-request-id"]
        assert headers.get("retry-after") == (str(RETRY_AFTER_SECONDS) if status == 429 else None)
    too_many = [headers["x-request-id"] for status, headers, _ in answers if status == 429]
    if too_many:
        assert len(log_lines(served, too_many[-1])) == 1

    assert longest() < PROBE
    assert grown() < 4 * MAX_BUFFERED_BYTES


def test_one_that_comes_again_after_429_is_answered(served):
    """Twice as many requests as are let in: each client does as it is told, and none has to give up."""

    async def patient(port, data, gate):
        for _ in range(20):
            status, headers, _ = await asked(port, data, gate)
            if status != 429:
                return status
            await asyncio.sleep(int(headers["retry-after"]))
        return status

    async def all_of_them():
        gate = asyncio.Event()
        gate.set()
        port = served.client.base_url.port
        return await asyncio.gather(*(patient(port, question("v2"), gate) for _ in range(2_500)))

    assert Counter(asyncio.run(all_of_them())) == {200: 2_500}


def test_the_service_is_as_before(served):
    with watching(served) as longest:
        started = time.monotonic()
        for api in APIS:
            assert ask(served, question(api)).status == 200
        assert ask(served, get("/metrics")).status == 200
        assert time.monotonic() - started < MAX_QUEUE_SECONDS
    assert longest() < PROBE
    assert memory(served) < 600e6
    assert "Traceback" not in served.log.read_text()
