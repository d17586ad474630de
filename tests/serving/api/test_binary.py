"""Binary tensors, as the protocol's extension has them: what is sent as bytes is read as what is sent as JSON is."""

import json
import struct

import numpy as np
import pytest
from support.binary import message, outputs, to_bytes
from support.echo import ROW
from support.server import tensors
from support.wire import Wire, head

from slipway.cases import CASES
from slipway.core.record import example
from slipway.serving.api.binary import HEADER
from slipway.serving.api.messages import ProtocolError
from slipway.serving.api.v2 import InferenceModel
from slipway.serving.http.limits import MAX_RECORDS

APPLE = example(CASES["fruit"].record)
FRUIT = tensors(CASES["fruit"], [APPLE, APPLE | {"weight": 30}])
ALL = {"parameters": {"binary_data_output": True}}


@pytest.fixture(scope="module")
def fruit(loaded):
    return InferenceModel(loaded.served["fruit"])


@pytest.fixture
def echo(echoing):
    return InferenceModel(echoing.served["echo"])


def refusal(model, body, header):
    """The words with which a request is refused: always with 400."""
    with pytest.raises(ProtocolError) as caught:
        model.infer(body, header)
    assert len(caught.value.args) == 1, "words alone, not a tuple"
    return str(caught.value)


# What is answered


@pytest.mark.parametrize("name", CASES)
def test_bytes_get_the_answers_of_json(loaded, name):
    model = InferenceModel(loaded.served[name])
    inputs = tensors(CASES[name], [example(CASES[name].record)] * 3)
    plain, size = model.infer(json.dumps({"inputs": inputs}).encode())
    assert size is None
    assert model.infer(*message(inputs)) == (plain, None)
    body, size = model.infer(*message(inputs, **ALL))
    told = json.loads(body[:size])
    assert all("data" not in output for output in told["outputs"])
    arrays = outputs(body, size)
    for output in json.loads(plain)["outputs"]:
        assert arrays[output["name"]].ravel().tolist() == output["data"]


def test_every_datatype_goes_in_and_comes_out(echo):
    rows = [ROW, ROW | {"level": 1.0, "gain": -0.0, "known": None, "lit": False, "word": "red", "note": ""}]
    body, size = echo.infer(*message(tensors(CASES["echo"], rows), **ALL))
    told = {output["name"]: output["datatype"] for output in json.loads(body[:size])["outputs"]}
    arrays = outputs(body, size)
    assert told["level_as_float"] == "FP32"
    assert arrays["level_as_float"].ravel().tolist() == [np.float32(0.1), 1]
    assert np.signbit(arrays["gain_again"]).ravel().tolist() == [False, True]
    assert np.isnan(arrays["known_again"]).ravel().tolist() == [False, True]
    for name in ("count", "turns", "lit", "word", "note"):
        assert arrays[f"{name}_again"].ravel().tolist() == [row[name] for row in rows]


def test_some_tensors_may_be_bytes_and_others_json(fruit):
    (plain, _) = fruit.infer(json.dumps({"inputs": FRUIT}).encode())
    binary = [each for each in FRUIT if each["name"] != "length"]
    body, header = message(binary)
    about = json.loads(body[: int(header)])
    about["inputs"].insert(2, FRUIT[1])
    text = json.dumps(about).encode()
    assert fruit.infer(text + body[int(header) :], str(len(text))) == (plain, None)


def test_an_output_s_wish_counts_more_than_the_request_s(fruit):
    def are_bytes(outputs, parameters):
        body, size = fruit.infer(json.dumps({"inputs": FRUIT, "outputs": outputs, "parameters": parameters}).encode())
        told = json.loads(body[:size])["outputs"]
        return [(output["name"], "data" not in output) for output in told]

    yes, no = {"binary_data": True}, {"binary_data": False}
    prediction, probabilities = {"name": "prediction"}, {"name": "probabilities"}
    assert are_bytes([], {"binary_data_output": False}) == [("prediction", False), ("probabilities", False)]
    assert are_bytes(None, {"binary_data_output": True}) == [("prediction", True), ("probabilities", True)]
    wanted = [probabilities | {"parameters": yes}, prediction]
    assert are_bytes(wanted, None) == [("probabilities", True), ("prediction", False)]
    wanted = [probabilities | {"parameters": no}, prediction | {"parameters": None}]
    assert are_bytes(wanted, {"binary_data_output": True}) == [("probabilities", False), ("prediction", True)]


def test_lists_without_values_are_no_bytes(loaded):
    """KServe's client sends them with `"data": null`, and without the header if no tensor has a byte."""
    model = InferenceModel(loaded.served["recommendation"])
    inputs = tensors(CASES["recommendation"], [{"films": [], "stars": []}])
    plain = model.infer(json.dumps({"inputs": inputs}).encode())
    body, header = message(inputs)
    assert model.infer(body, header) == plain
    about = json.loads(body)
    for each in about["inputs"]:
        each["data"] = None
    assert model.infer(json.dumps(about).encode()) == plain


def test_lists_of_several_lengths_may_be_bytes(loaded):
    model = InferenceModel(loaded.served["recommendation"])
    rows = [{"films": [2571, 4993], "stars": [5.0, 4.5]}, {"films": [1], "stars": [2.0]}]
    inputs = tensors(CASES["recommendation"], rows)
    assert model.infer(*message(inputs)) == model.infer(json.dumps({"inputs": inputs}).encode())
    inputs[0]["data"] = to_bytes("INT64", [0, 4993, 1, 0])
    assert "0 fills a list at its end" in refusal(model, *message(inputs))


def test_tensors_lie_where_they_may_be_read(fruit):
    """The bytes of a number may begin anywhere in a body; ONNX Runtime takes an array that is aligned."""
    for spaces in range(8):
        body, header = message(FRUIT)
        body = body[: int(header) - 1] + b" " * spaces + body[int(header) - 1 :]
        _, read = fruit.read(body, str(int(header) + spaces))
        assert all(array.flags.aligned for array in read.values())
        assert read["weight"].ravel().tolist() == [APPLE["weight"], 30]


def test_nan_is_not_known_where_that_is_allowed_and_refused_elsewhere(loaded):
    model, case = InferenceModel(loaded.served["credit_risk"]), CASES["credit_risk"]
    row = example(case.record)
    unknown = tensors(case, [row | {"income": None}, row])
    assert model.infer(*message(unknown)) == model.infer(json.dumps({"inputs": unknown}).encode())
    for rows in ([row | {"expenses": np.nan}], [row, row | {"expenses": np.nan}]):
        assert (
            refusal(model, *message(tensors(case, rows))) == "input 'expenses': NaN is no value: each one must be known"
        )
    for rows in ([row | {"income": np.inf}], [row | {"income": np.inf}, row | {"income": None}]):
        assert refusal(model, *message(tensors(case, rows))) == "input 'income': inf is too large"


# What is refused

BODY, SIZE = message(FRUIT)


def changed(name, data=None, **more):
    """A body and its header with another tensor."""
    inputs = [
        each | ({"data": data} if data is not None else {}) | more if each["name"] == name else each for each in FRUIT
    ]
    return message(inputs)


def with_size(size, *, is_last=True):
    """A tensor that says another size of itself."""
    name = FRUIT[-1 if is_last else 0]["name"]
    return changed(name, parameters={"binary_data_size": size})


def without(*keys):
    """A body whose first tensor lacks parameters, its bytes, or both; its data are not in the JSON."""
    text, blobs = json.loads(BODY[: int(SIZE)]), BODY[int(SIZE) :]
    if "parameters" in keys:
        del text["inputs"][0]["parameters"]
    if "bytes" in keys:
        blobs = blobs[16:]
    json_text = json.dumps(text).encode()
    return json_text + blobs, str(len(json_text))


def with_data(data):
    """A tensor that is in the JSON, too."""
    text = json.loads(BODY[: int(SIZE)])
    text["inputs"][0]["data"] = data
    json_text = json.dumps(text).encode()
    return json_text + BODY[int(SIZE) :], str(len(json_text))


RED = to_bytes("BYTES", ["red"])
BAD = {
    "no header": ((BODY, None), f"send the header {HEADER}"),
    "a header without a value": ((BODY, ""), "in digits, not ''"),
    "a header that is no number": ((BODY, "many"), "in digits, not 'many'"),
    "a negative header": ((BODY, "-5"), "in digits, not '-5'"),
    "a header with a plus": ((BODY, f"+{SIZE}"), f"in digits, not '+{SIZE}'"),
    "a header with a space before it": ((BODY, f" {SIZE}"), f"in digits, not ' {SIZE}'"),
    "a header with a space after it": ((BODY, f"{SIZE} "), f"in digits, not '{SIZE} '"),
    "a header with a point": ((BODY, f"{SIZE}.0"), f"in digits, not '{SIZE}.0'"),
    "a header with an underscore": ((BODY, "1_000"), "in digits, not '1_000'"),
    "a header in hexadecimal digits": ((BODY, "0x10"), "in digits, not '0x10'"),
    "a header in other digits": ((BODY, "١٢٣"), "in digits, not '١٢٣'"),
    "a header with an exponent": ((BODY, "1e3"), "in digits, not '1e3'"),
    "a header twice": ((BODY, f"{SIZE}, {SIZE}"), f"in digits, not '{SIZE}, {SIZE}'"),
    "a header of five thousand digits": ((BODY, "1" * 5000), "in digits, not '11111111111111111111'"),
    "a header larger than the body": ((BODY, str(len(BODY) + 1)), f"but the body has {len(BODY):,} bytes"),
    "a header of 0": ((BODY, "0"), "the body is not valid"),
    "a header one byte too small": ((BODY, str(int(SIZE) - 1)), "the body is not valid"),
    "a header one byte too large": ((BODY, str(int(SIZE) + 1)), "the body is not valid"),
    "a header of the whole body": ((BODY, str(len(BODY))), "the body is not valid"),
    "an empty body": ((b"", "0"), "the body is not valid"),
    "a body that ends after the JSON": ((BODY[: int(SIZE)], SIZE), "'weight': binary_data_size is 16, but 0 bytes"),
    "a body that ends within a tensor": ((BODY[: int(SIZE) + 20], SIZE), "binary_data_size is 16, but 4 bytes"),
    "a body one byte too short": ((BODY[:-1], SIZE), "input 'colour': binary_data_size is 14, but 13 bytes"),
    "a byte too many": ((BODY + b"\0", SIZE), "1 bytes of the body belong to no input"),
    "JSON alone, and a byte too many": (
        (json.dumps({"inputs": FRUIT}).encode() + b"\0", str(len(json.dumps({"inputs": FRUIT})))),
        "1 bytes of the body belong to no input",
    ),
    "a size that is too small": (with_size(13), "1 bytes of the body belong to no input"),
    "a size that is too large": (with_size(15), "binary_data_size is 15, but 14 bytes of the body are left"),
    "a size that takes from the next tensor": (with_size(17, is_last=False), "input 'colour': binary_data_size is 14"),
    "a size beyond all memory": (with_size(2**63), "binary_data_size is 9,223,372,036,854,775,808, but 14 bytes"),
    "a negative size": (with_size(-14), "binary_data_size must be a number of bytes, not '-14'"),
    "a size that is a word": (with_size("14"), "binary_data_size must be a number of bytes, not '14'"),
    "a size with a point": (with_size(14.0), "binary_data_size must be a number of bytes, not '14.0'"),
    "a size that is a truth value": (with_size(True), "binary_data_size must be a number of bytes, not 'True'"),
    "a size that is null": (with_size(None), "the body is not valid"),
    "data and bytes": (with_data([152, 30]), "input 'weight' has both data and binary_data_size"),
    "empty data and bytes": (with_data([]), "input 'weight' has both data and binary_data_size"),
    "neither data nor bytes": (without("parameters", "bytes"), "input 'weight' has neither data nor binary_data_size"),
    "bytes that no tensor claims": (without("parameters"), "16 bytes of the body belong to no input"),
    "bytes of one number for two rows": (changed("weight", bytes(8)), "8 bytes, but its shape and datatype take 16"),
    "bytes of half a number": (changed("weight", bytes(12)), "12 bytes, but its shape and datatype take 16"),
    "no bytes": (changed("weight", b""), "0 bytes, but its shape and datatype take 16"),
    "numbers of half the size": (changed("weight", datatype="FP32"), "input 'weight' is FP64, not FP32"),
    "a number out of range": (changed("weight", [152.0, 700.0]), "input 'weight': 700.0 is too large"),
    "a negative number": (changed("weight", [-1.0, 152.0]), "input 'weight': -1.0 is too small"),
    "NaN": (changed("weight", [152.0, np.nan]), "input 'weight': NaN is no value"),
    "infinity": (changed("weight", [152.0, np.inf]), "input 'weight': inf is too large"),
    "big-endian numbers": (changed("weight", struct.pack(">2d", 152, 30)), "is too small"),
    "an unknown word": (changed("colour", ["red", "blue"]), "'blue' is none of brown, green, orange, red, yellow"),
    "a word in capitals": (changed("colour", ["red", "Red"]), "'Red' is none of"),
    "a word that is empty": (changed("colour", ["red", ""]), "'' is none of"),
    "a word that is no UTF-8": (changed("colour", RED + b"\4\0\0\0r\xffed"), "a word is not valid UTF-8"),
    "half of a surrogate": (changed("colour", RED + b"\3\0\0\0\xed\xa0\x80"), "a word is not valid UTF-8"),
    "words with bytes left over": (changed("colour", RED + RED + b"\0"), "1 bytes are left after 2 values"),
    "one word more than rows": (changed("colour", RED * 3), "7 bytes are left after 2 values"),
    "one word fewer than rows": (changed("colour", RED), "its bytes end after 1 values, but its shape says 2"),
    "a word cut off": (changed("colour", RED + RED[:-1]), "its bytes end within a word"),
    "a length cut off": (changed("colour", RED + RED[:3]), "its bytes end after 1 values"),
    "a length of 4 GiB": (changed("colour", RED + b"\xff\xff\xff\xffred"), "its bytes end within a word"),
    "a length in big-endian": (changed("colour", RED + b"\0\0\0\3red"), "its bytes end within a word"),
    "a shape of more rows": (changed("weight", shape=[3, 1]), "16 bytes, but its shape and datatype take 24"),
    "a shape of other rows": (changed("length", shape=[3, 1]), "input 'length': its shape must be [2, 1]"),
    "an unknown tensor": (message([*FRUIT, FRUIT[0] | {"name": "ripeness"}]), "input 'ripeness' is none of"),
    "a tensor twice": (message([*FRUIT, FRUIT[0]]), "input 'weight' stands twice"),
    "a tensor left out": (message(FRUIT[1:]), "there is no input weight"),
    "a key twice": (
        (BODY.replace(b'"binary_data_size"', b'"binary_data_size": 1, "binary_data_size"', 1), str(int(SIZE) + 23)),
        "the key 'binary_data_size' stands twice",
    ),
    "too many rows": (message(tensors(CASES["fruit"], [APPLE] * (MAX_RECORDS + 1))), "counts the rows: 1 to 1,000"),
    "another model": (message(FRUIT, model_name="house_price"), "this is fruit, not 'house_price'"),
    "outputs in bytes, perhaps": (message(FRUIT, parameters={"binary_data_output": 1}), "must be true or false"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_gets_400_and_a_reason(fruit, asked, words):
    fruit.infer(BODY, SIZE)
    assert words in refusal(fruit, *asked)


@pytest.mark.parametrize("byte", [2, 255])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_truth_value_is_0_or_1(echo, byte, rows):
    inputs = [each | ({"data": bytes([1] * (rows - 1) + [byte])} if each["datatype"] == "BOOL" else {})
              for each in tensors(CASES["echo"], [ROW] * rows)]  # fmt: skip
    assert refusal(echo, *message(inputs)) == "input 'lit': a truth value is one byte, 0 or 1"


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_number_without_a_range_is_a_number(echo, value, rows):
    for name in ("gain", "known"):
        asked = message(tensors(CASES["echo"], [ROW] * (rows - 1) + [ROW | {name: value}]))
        if name == "known" and np.isnan(value):
            echo.infer(*asked)
        else:
            assert f"input '{name}': " in refusal(echo, *asked)


# Over HTTP


def ask(server, body, *headers):
    with Wire(server) as wire:
        lines = [f"Content-Length: {len(body)}", *headers]
        return wire.ask(head("/v2/models/fruit/infer", *lines) + body)


def test_the_header_says_where_bytes_begin_in_request_and_response(served):
    body, size = message(FRUIT, **ALL)
    answer = ask(served, body, f"{HEADER}: {size}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    arrays = outputs(answer.body, int(answer.headers[HEADER.lower()]))
    assert arrays["prediction"].tolist()[0] == "apple"
    assert arrays["probabilities"].sum(axis=1) == pytest.approx([1, 1])


def test_where_nothing_is_bytes_the_response_is_json(served):
    answer = ask(served, BODY, f"{HEADER}: {SIZE}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert HEADER.lower() not in answer.headers
    assert answer.json()["outputs"][0]["data"][0] == "apple"


@pytest.mark.parametrize("headers", [[], [f"{HEADER}:"], [f"{HEADER}: {SIZE}"] * 2, [f"{HEADER}: +{SIZE}"]], ids=str)
def test_another_header_gets_400(served, headers):
    answer = ask(served, BODY, *headers)
    assert answer.status == 400
    assert HEADER in answer.json()["error"]
