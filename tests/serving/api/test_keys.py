"""A key that stands twice in an object is seen, wherever it is and however it is written."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.serving.api.keys import DuplicateKeyError, check_keys

TWICE = {
    "at the top": '{"a": 1, "b": 2, "a": 3}',
    "with the same value": '{"a": 1, "a": 1}',
    "in an object within": '{"a": [{"b": 1, "b": 2}]}',
    "written otherwise": r'{"a": 1, "\u0061": 2}',
    "that is empty": '{"": 1, "": 2}',
}
ONCE = {
    "in each of two objects": '[{"a": 1}, {"a": 1}]',
    "and as a value": '{"a": "a"}',
    "with a colon in it": '{"a:b": 1}',
    "with a colon in its value": '{"a": "b:c", "d": ":"}',
    "or not at all": "{}",
}


def count(thing):
    """How many keys a parser reads that keeps one of two values."""
    if isinstance(thing, dict):
        return len(thing) + count(list(thing.values()))
    return sum(map(count, thing)) if isinstance(thing, list) else 0


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_key_twice(text):
    with pytest.raises(DuplicateKeyError, match="stands twice"):
        check_keys(text.encode(), count(json.loads(text)))


@pytest.mark.parametrize("text", ONCE.values(), ids=ONCE)
def test_a_key_once(text):
    check_keys(text.encode(), count(json.loads(text)))


def test_the_error_names_the_key_and_not_all_of_a_long_one():
    with pytest.raises(DuplicateKeyError, match="the key 'weight' stands twice in the same object"):
        check_keys(b'{"weight": 1, "weight": 2}', 1)
    with pytest.raises(DuplicateKeyError) as caught:
        check_keys(b'{"%s": 1, "%s": 2}' % (b"a" * 9999, b"a" * 9999), 1)
    assert len(str(caught.value)) < 200


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=1, max_size=8), st.data())
@settings(derandomize=True)
def test_any_object_passes_until_one_of_its_keys_is_repeated(thing, data):
    check_keys(json.dumps(thing).encode(), len(thing))
    pairs = [*thing.items(), (data.draw(st.sampled_from(list(thing))), 0)]
    text = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs)
    with pytest.raises(DuplicateKeyError):
        check_keys(f"{{{text}}}".encode(), len(thing))


def test_a_hundred_thousand_keys_do_not_take_a_hundred_thousand_times_as_long():
    """To count each of them, which takes minutes, would stop the event loop with one body of the size allowed."""
    keys = ",".join(f'"{i:x}":1' for i in range(100_000))
    started = time.process_time()
    with pytest.raises(DuplicateKeyError, match="'zz'"):
        check_keys(f'{{{keys},"zz":1,"zz":2}}'.encode(), 100_001)
    assert time.process_time() - started < 2
