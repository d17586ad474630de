"""There are three ways to read a request: the fast one, the one that says what is wrong, and that of bytes. They agree.

What the fast way takes, the other takes as well and makes the same tensors of it; a request in bytes is judged as the
same one in JSON is. Requests are made up, and spoilt in ways that a parser might fall for.
"""

import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.binary import message
from support.echo import ROW, echoing
from support.server import tensors
from support.strategies import records

from slipway.cases import CASES
from slipway.core.feature import features
from slipway.core.record import example
from slipway.serving.api.fast import FastReader
from slipway.serving.api.messages import ProtocolError
from slipway.serving.api.v2 import InferenceModel

# ranges and words, null, lists of several lengths, lists of one length, and every datatype
NAMES = ["house_price", "fruit", "credit_risk", "recommendation", "speech", "echo"]
OF_ROWS = [name for name in NAMES if name not in ("recommendation", "speech")]  # none of their features is a list
MANY = settings(derandomize=True, max_examples=600, deadline=None)


@pytest.fixture(scope="module")
def models(loaded):
    with echoing() as echo:
        served = loaded.served | echo.served
        yield {name: InferenceModel(served[name]) for name in NAMES}


@pytest.fixture(scope="module")
def readers():
    """The fast way to read each case that has one."""
    with echoing():
        return {name: FastReader(name, features(CASES[name].record)) for name in OF_ROWS}


def slow(model, body, header=None):
    """What the way reads that says what is wrong; None if it refuses."""
    try:
        return model.read(body, header)
    except ProtocolError as error:
        said = error
    assert len(str(said)) > 10
    return None


def check_same(one, other):
    """Both are the same request, with the same tensors to the last bit; or neither is one."""
    assert (one is None) == (other is None)
    if one is None:
        return
    (asked, arrays), (asked_again, arrays_again) = one, other
    assert (asked.id, asked.outputs, asked.parameters) == (asked_again.id, asked_again.outputs, asked_again.parameters)
    assert arrays.keys() == arrays_again.keys()
    for name, array in arrays.items():
        again = arrays_again[name]
        assert (array.dtype, array.shape) == (again.dtype, again.shape)
        if array.dtype == object:
            assert array.tolist() == again.tolist()
        elif not np.isnan(array).any():
            assert array.tobytes() == again.tobytes()  # -0.0 is not 0.0
        else:
            assert np.array_equal(array, again, equal_nan=True)


# Requests

ODD_NUMBERS = [0, -0.0, 1, 1.0, 1e300, 5e-324, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1]
ODD_WORDS = ["", "1", "red", "a:b", "ü😀", "\u0000", '"', "\\", "NaN"]
ODD_VALUES = st.sampled_from([*ODD_NUMBERS, *ODD_WORDS, None, True, False, [], [1], [[1]], {}, {"a": 1}])
TOKENS = {  # of JSON texts, by what they replace
    "number": [
        *("1e400", "-1e400", "1e-400", "-0", "-0.0", "0.0", "1.0", "1E2", "0.1e1", "100000000000000000000e-18"),
        *("9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 25),
        *("01", "1.", ".5", "+1", "0x10", "1_0", "", "NaN", "-NaN", "Infinity", "true", "null", '"1"', "[1]", "{}"),
    ],
    "string": ['"\\u0072ed"', '"r\\ud83d"', '"\\ud83d\\ude00"', '"a:b"', '""', "null", "1", "red", '"red', "'red'"],
}
NUMBERS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
FIELDS = ["id", "name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "model_name", "more", ""]


def of_datatype(feature):
    """Any value that bytes of the feature's datatype can be, those about its range and its words more often."""
    match feature.datatype:
        case "BOOL":
            return st.booleans()
        case "BYTES":
            return st.sampled_from(feature.rule.get("enum", ["a"])) | st.text(max_size=4)
    edges = [feature.rule[key] for key in ("minimum", "maximum", "exclusiveMaximum") if key in feature.rule] or [0]
    if feature.datatype == "INT64":
        return st.sampled_from([edge + step for edge in edges for step in (-1, 0, 1)]) | st.integers(
            -(2**63), 2**63 - 1
        )
    near = [np.nextafter(float(edge), way).item() for edge in edges for way in (-np.inf, edge, np.inf)]
    found = st.sampled_from([*near, -0.0, np.nan, np.inf, -np.inf]) | st.floats()
    return found.map(lambda value: None if value != value else value) if feature.is_nullable else found


@st.composite
def requests(draw, name):
    """A valid request, but for the values of a few inputs, now and then."""
    case = CASES[name]
    about = features(case.record)
    if name == "echo":
        rows = draw(st.lists(st.builds(lambda **more: ROW | more, lit=st.booleans(), note=st.text(max_size=3))))[:5]
        rows = rows or [ROW]
    else:
        rows = draw(records(case)) if not any(each.is_list for each in about.values()) else [example(case.record)] * 2
    inputs = tensors(case, rows)
    if draw(st.integers(0, 4)) == 0:
        width = inputs[0]["shape"][1]
        data = inputs[0]["data"]
        inputs[0]["data"] = [data[place : place + width] for place in range(0, len(data), width)]
    elif draw(st.integers(0, 2)) == 0:
        given_ = draw(st.sampled_from(inputs))
        if given_["data"]:
            given_["data"][draw(st.integers(0, len(given_["data"]) - 1))] = draw(
                ODD_VALUES | of_datatype(about[given_["name"]])
            )
    asked = {"inputs": draw(st.permutations(inputs)) if draw(st.booleans()) else inputs}
    more = {
        "id": st.sampled_from([None, "7", "a:b", "ü"]),
        "model_name": st.just(name),
        "outputs": st.sampled_from([None, [], [{"name": "prediction"}], [{"name": "prediction", "parameters": None}]]),
        "parameters": st.sampled_from([None, {}, {"binary_data_output": True}, {"a": 1, "b": "c:d", "e": False}]),
    }
    return asked | {key: draw(more[key]) for key in more if draw(st.booleans())}


def places(thing, path=()):
    """The way to each value within a JSON value."""
    yield path
    if isinstance(thing, dict | list):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from places(value, (*path, key))


def changed(draw, thing):
    """A JSON value with one change somewhere: a value replaced, left out, or twice, or a key that is another."""
    path = draw(st.sampled_from([path for path in places(thing) if path]))
    thing = json.loads(json.dumps(thing))
    parent = thing
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    match draw(st.sampled_from(["replace", "delete", "repeat", "rename"])):
        case "replace":
            parent[key] = draw(ODD_VALUES)
        case "delete":
            del parent[key]
        case "repeat" if isinstance(parent, list):
            parent.append(parent[key])
        case _ if isinstance(parent, dict):
            parent[draw(st.sampled_from(FIELDS))] = parent.pop(key)
    return thing


@st.composite
def spoilt(draw, name):
    """A request as a text: valid, or with changes of its values, its tokens or its bytes."""
    asked = draw(requests(name))
    ways = draw(st.sets(st.sampled_from(["values", "tokens", "key", "bytes"]), max_size=2))
    if "values" in ways:
        asked = changed(draw, asked)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")]))
    text = json.dumps(asked, separators=separators, ensure_ascii=draw(st.booleans()))
    if "tokens" in ways:
        kind, tokens = draw(st.sampled_from(list(TOKENS.items())))
        found = NUMBERS.findall(text) if kind == "number" else STRINGS.findall(text)
        if found:
            old = draw(st.sampled_from(found))
            text = text.replace(old, draw(st.sampled_from(tokens)), draw(st.sampled_from([1, -1])))
    if "key" in ways:  # one more, perhaps twice
        key, value = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(["1", '"a"', "null", "[]"]))
        brace = draw(st.sampled_from([place for place, sign in enumerate(text) if sign == "{"]))
        text = text[: brace + 1] + f'"{key}":{value},' + text[brace + 1 :]
    body = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(draw(st.integers(1, 2)) if "bytes" in ways else 0):
        place = draw(st.integers(0, len(body) - 1))
        body[place : place + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2) | st.sampled_from([b'"', b",", b":", b"\\"])
        )
    return bytes(body)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_fast_is_read_alike_and_nothing_is_that_should_not_be(models, readers, name):
    model, reader = models[name], readers.get(name)
    counted = Counter()

    @given(spoilt(name))
    @MANY
    def check(body):
        expected = slow(model, body)
        found = reader.read(body) if reader is not None else None
        if found is not None:
            check_same(found, expected)
        counted["refused" if expected is None else "slow" if found is None else "fast"] += 1

    check()
    ways = ["refused", "slow"] if reader is None else ["refused", "slow", "fast"]
    assert all(counted[way] > 10 for way in ways), counted  # or else the bodies that are made up are no trial


@pytest.mark.parametrize("name", OF_ROWS)
def test_what_clients_send_is_read_fast(readers, name):
    @given(records(CASES[name]) if name != "echo" else st.just([ROW, ROW]), st.booleans(), st.booleans())
    @settings(derandomize=True, max_examples=30, deadline=None)
    def check(rows, is_flat, is_backwards):
        inputs = [each | ({"shape": [len(rows)]} if is_flat else {}) for each in tensors(CASES[name], rows)]
        asked = {"inputs": inputs[::-1] if is_backwards else inputs, "id": "7", "outputs": [{"name": "prediction"}]}
        assert readers[name].read(json.dumps(asked).encode()) is not None

    check()


# Bytes


@st.composite
def values(draw, name):
    """The inputs of a request: their datatypes and shapes are right, and most of their values."""
    case = CASES[name]
    about = features(case.record)
    rows = [ROW] * 2 if name == "echo" else [example(case.record)] * draw(st.sampled_from([1, 3]))
    inputs = tensors(case, rows)
    for _ in range(draw(st.integers(0, 2))):
        given_ = draw(st.sampled_from(inputs))
        given_["data"][draw(st.integers(0, len(given_["data"]) - 1))] = draw(of_datatype(about[given_["name"]]))
    return inputs


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_judged_as_json_is(models, name):
    model = models[name]
    counted = Counter()

    @given(values(name))
    @MANY
    def check(inputs):
        expected = slow(model, json.dumps({"inputs": inputs}).encode())
        found = slow(model, *message(inputs))
        check_same(found, expected)
        counted[expected is None] += 1

    check()
    assert min(counted.values()) > 10, counted


@pytest.mark.parametrize("name", NAMES)
def test_spoilt_bytes_are_refused_with_words_or_are_within_the_rules(models, name):
    """What is read all the same is, in JSON, a valid request."""
    model = models[name]
    counted = Counter()

    @given(values(name), st.data())
    @MANY
    def check(inputs, data):
        body, header = message(inputs)
        body, size = bytearray(body), int(header)
        for _ in range(data.draw(st.integers(1, 3))):
            low = data.draw(st.sampled_from([0, size, size]))
            place = data.draw(st.integers(low, len(body) - 1))
            body[place : place + data.draw(st.sampled_from([0, 1, 1, 1, 2]))] = data.draw(st.binary(max_size=2))
        size += data.draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        read = slow(model, bytes(body), str(size))
        counted[read is None] += 1
        if read is not None:
            again = [
                each | {"shape": list(read[1][each["name"]].shape), "data": read[1][each["name"]].ravel().tolist()}
                for each in inputs
            ]
            assert slow(model, json.dumps({"inputs": again}).encode().replace(b"NaN", b"null")) is not None

    check()
    assert min(counted.values()) > 10, counted
