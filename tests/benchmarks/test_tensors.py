"""The bench's requests and answers with binary tensors: their bytes, and that KServe's own code understands them."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.servers import SERVERS
from benchmarks.tensors import Message, binary, parsed, prediction, tensors
from requirements.environments import python_of

HOUSES = [{"area": 1.5, "year": -2, "word": "Straße"}, {"area": 1e300, "year": 2**40, "word": ""}]


def test_the_values_stand_behind_the_json_in_the_order_of_the_tensors():
    message = binary(tensors(HOUSES))
    head, payload = json.loads(message.body[: message.json_size]), message.body[message.json_size :]
    assert [(each["name"], each["datatype"], each["parameters"]["binary_data_size"]) for each in head["inputs"]] == [
        ("area", "FP64", 16),
        ("year", "INT64", 16),
        ("word", "BYTES", 4 + 7 + 4),
    ]
    assert all(each["shape"] == [2, 1] and "data" not in each for each in head["inputs"])
    assert payload[:8] == bytes.fromhex("000000000000f83f")  # 1.5, little endian
    assert payload[16:32] == bytes.fromhex("feffffffffffffff") + bytes.fromhex("0000000000010000")
    assert payload[32:] == b"\x07\0\0\0" + "Straße".encode() + b"\0\0\0\0"


def test_a_request_says_where_its_json_ends():
    message = SERVERS["slipway-v2-binary"].request(HOUSES)
    assert message.headers == {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(message.json_size),
    }
    assert SERVERS["slipway-v2"].request(HOUSES).headers == {"Content-Type": "application/json"}


def test_an_answer_in_json_is_read_as_it_is():
    answer = {"outputs": [{"name": "prediction", "data": [1.5]}]}
    assert prediction(parsed(Message(json.dumps(answer).encode()))) == [1.5]


@pytest.fixture(scope="module")
def understood():
    """What KServe's own code makes of a request."""
    message = binary(tensors(HOUSES))
    outputs = [("area", "FP64"), ("year", "INT64")]
    asked = {"body": message.body.hex(), "json_size": message.json_size, "outputs": outputs}
    script = Path(__file__).with_name("kserve_tensors.py")
    command = [python_of("kserve_client"), script]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kserve_reads_the_tensors_that_were_sent(understood):
    assert understood["inputs"] == {name: [[house[name]] for house in HOUSES] for name in HOUSES[0]}


def test_the_binary_answer_of_kserve_is_read(understood):
    answer = parsed(Message(bytes.fromhex(understood["body"]), understood["json_size"]))
    assert all("binary_data_size" in output["parameters"] for output in answer["outputs"])
    assert {each["name"]: each["data"] for each in answer["outputs"]} == {"area": [1.5, 1e300], "year": [-2, 2**40]}
