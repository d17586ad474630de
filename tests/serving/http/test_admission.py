"""Who is let in, and when: `Turns` by itself, on an event loop whose rounds the test counts."""

import asyncio

import pytest

from slipway.serving.http import admission
from slipway.serving.http.admission import BYTES_A_REQUEST, BYTES_A_ROUND, FAULT, Admission, Turns, check_head
from slipway.serving.http.errors import Refusal
from slipway.serving.http.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS

LARGE = BYTES_A_ROUND  # a body that fills a round


async def take_turns(turns, sizes, rounds=50):
    """In which round each request had its turn, in the order in which they had them."""
    number, had = 0, []

    async def wait(position, size):
        await turns.mine(size)
        had.append((position, number))

    waiting = [asyncio.create_task(wait(position, size)) for position, size in enumerate(sizes)]
    for number in range(rounds):  # noqa: B007 - the tasks read it
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    return had


def test_small_requests_have_their_turn_at_once():
    had = asyncio.run(take_turns(Turns(), [0] * 10))
    assert [position for position, _ in had] == list(range(10))
    assert len({number for _, number in had}) == 1


def test_large_requests_take_turns_in_their_order():
    had = asyncio.run(take_turns(Turns(), [LARGE] * 5))
    assert [position for position, _ in had] == list(range(5))
    rounds = [number for _, number in had]
    assert len(set(rounds)) == len(rounds), "two in one round"


def test_a_small_request_does_not_overtake_those_that_wait():
    had = asyncio.run(take_turns(Turns(), [LARGE, LARGE, 0]))
    assert [position for position, _ in had] == [0, 1, 2]


def test_a_round_takes_as_many_small_requests_as_fill_it():
    count = BYTES_A_ROUND // BYTES_A_REQUEST
    had = asyncio.run(take_turns(Turns(), [0] * (count + 1)))
    assert len({number for _, number in had[:count]}) == 1
    assert had[count][1] > had[0][1]


def test_a_client_that_left_while_it_waited_takes_no_turn():
    async def leave():
        turns = Turns()
        await turns.mine(LARGE)
        first, gone, after = (asyncio.create_task(turns.mine(LARGE)) for _ in range(3))
        await asyncio.sleep(0)
        assert first.done() != gone.done()
        gone.cancel()
        await asyncio.wait_for(after, 1)
        assert gone.cancelled()

    asyncio.run(leave())


def body(*chunks, then=None):
    """What an application receives of a request that arrives in chunks, and what comes after the last one."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(then or {"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return receive


def admit(gate, receive, scope=None):
    return asyncio.run(gate.admit(scope or {}, receive))


def test_a_body_comes_in_one_piece_and_is_held_until_it_is_released():
    gate = Admission()
    assert admit(gate, body(b"one", b"two")) == b"onetwo"
    assert (gate.buffered, gate.pending) == (6, 1)
    gate.release(6)
    assert (gate.buffered, gate.pending) == (0, 0)


REFUSED = {
    "too large": (413, body(bytes(MAX_BODY_BYTES), b"1"), {}),
    "gone": (408, body(b"one", then={"type": "http.disconnect"}), {}),
    "late": (408, body(b"one"), {FAULT: Refusal(408, "late")}),
}


@pytest.mark.parametrize(("status", "receive", "scope"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_holds_nothing(status, receive, scope):
    gate = Admission()
    with pytest.raises(Refusal) as caught:
        admit(gate, receive, scope)
    assert caught.value.status == status
    assert (gate.buffered, gate.pending) == (0, 0)


@pytest.mark.parametrize("limit", ["MAX_BUFFERED_BYTES", "MAX_PENDING_REQUESTS", "MAX_QUEUE_SECONDS"])
def test_beyond_each_limit_it_is_busy(monkeypatch, limit):
    monkeypatch.setattr(admission, limit, -1 if limit == "MAX_QUEUE_SECONDS" else 0)
    gate = Admission()
    with pytest.raises(Refusal, match="try again") as caught:
        admit(gate, body(b"one"))
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    assert (gate.buffered, gate.pending) == (0, 0)


def scope(*headers, path=b"/"):
    return {"raw_path": path, "query_string": b"", "headers": list(headers)}


HEADS = {
    "a length beyond the limit": (413, scope((b"content-length", str(MAX_BODY_BYTES + 1).encode()))),
    "too many headers": (431, scope(*[(b"a", b"b")] * (MAX_HEADERS + 1))),
    "headers too large": (431, scope((b"a", bytes(MAX_HEAD_BYTES)))),
    "a path too long": (431, scope(path=b"/" * (MAX_HEAD_BYTES + 1))),
}


@pytest.mark.parametrize(("status", "head"), HEADS.values(), ids=HEADS)
def test_a_head_beyond_a_limit_is_refused(status, head):
    with pytest.raises(Refusal) as caught:
        check_head(head)
    assert caught.value.status == status


def test_a_head_within_the_limits_passes():
    check_head(scope((b"content-length", str(MAX_BODY_BYTES).encode()), *[(b"a", b"b")] * (MAX_HEADERS - 1)))
