"""What stands in a body: a request is answered or refused with 400, in both APIs alike, and neither takes long."""

import json
import signal
import time

import pytest
from support import server
from support.bodies import BAD_FIELDS
from support.server import workers
from support.wire import (
    APIS,
    APPLE,
    BLOCKED,
    HOUSE,
    ask,
    check_error,
    datatype,
    least_block,
    log_lines,
    post,
    question,
    records,
    tensors,
    watching,
)

from slipway.cases import CASES
from slipway.core.feature import features
from slipway.core.record import example
from slipway.serving.http.limits import MAX_BODY_BYTES, MAX_RECORDS

APPLE_JSON = json.dumps(APPLE).encode()


def tensor(name, data, shape="[1,1]", more=""):
    return f'{{"name":"{name}","shape":{shape},"datatype":"{datatype(name)}","data":{data}{more}}}'


def tensors_json(*, more="", **changed):
    """A body of the v2 API: an apple, or a house, with the data of some tensors, as JSON, instead of its own."""
    thing = HOUSE if changed.keys() & HOUSE.keys() else APPLE
    inputs = [tensor(name, changed.get(name, json.dumps([value]))) for name, value in thing.items()]
    inputs += [tensor("weight", data).replace("weight", name) for name, data in changed.items() if name not in thing]
    return f'{{"inputs":[{",".join(inputs)}]{more}}}'.encode()


def record_json(**changed):
    """The same as a body of the v1 API."""
    thing = HOUSE if changed.keys() & HOUSE.keys() else APPLE
    fields = {name: json.dumps(value) for name, value in thing.items()} | changed
    return f'{{"records":[{{{",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items())}}}]}}'.encode()


def filled(before, unit, after):
    """As many units between two ends as a body may hold. A unit is bytes, or a function of its number."""
    parts, room, number = [before], MAX_BODY_BYTES - len(before) - len(after), 0
    while True:
        part = unit(number) if callable(unit) else unit
        room -= len(part)
        if room < 0:
            return b"".join([*parts, after])
        parts.append(part)
        number += 1


def key(number):
    return b'"%x":1,' % number


TYPED_FLOODS = {
    "a million brackets": b"[" * 1_000_000,
    "a million brackets, closed": b"[" * 500_000 + b"]" * 500_000,
    "a million brackets for records": b'{"records":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "objects in objects": filled(b"", b'{"a":', b""),
    "a record of unknown fields": filled(b'{"records":[{', key, b'"z":1}]}'),
    "a record of unknown fields after valid ones": filled(
        b'{"records":[' + (APPLE_JSON + b",") * (MAX_RECORDS - 1) + b"{", key, b'"z":1}]}'
    ),
    "unknown fields beside the records": filled(b"{", key, b'"records":[]}'),
    "an unknown field with half a million values": filled(b'{"records":[{"x":[', b"1,", b"1]}]}"),
    "an unknown field with a quarter of a million lists": filled(b'{"records":[{"x":[', b"[],", b"1]}]}"),
    "an unknown outer field with a quarter of a million lists": filled(b'{"x":[', b"[],", b"1]}"),
    "a thousand records of the largest size that is read, all wrong": filled(
        b'{"records":[', b"{" + b'"x":[],' * 145 + b'"y":1},', b"{}]}"
    ),
    "one record of the largest size that is read": b'{"records":[{"x":[' + b"[]," * 5_400 + b"1]}]}",
    "a thousand records with every field wrong": records(*[{field: [] for field in APPLE}] * MAX_RECORDS),
    "a hundred thousand empty records": filled(b'{"records":[', b"{},", b"{}]}"),
    "half a million numbers for records": filled(b'{"records":[', b"1,", b"1]}"),
    "more valid records than are read": filled(b'{"records":[', APPLE_JSON + b",", APPLE_JSON + b"]}"),
    "a number of a million digits": record_json(weight="1" * 1_000_000),
    "a million decimals": record_json(weight="152." + "1" * 1_000_000),
    "an exponent of a million digits": record_json(weight="1e" + "1" * 1_000_000),
    "a word of a million characters": record_json(colour=f'"{"r" * 1_000_000}"'),
    "a word of escapes": record_json(colour='"' + "\\u0041" * 170_000 + '"'),
    "a field name of a million characters": record_json(**{"x" * 1_000_000: "1"}),
    "a field twice, a hundred thousand times": filled(b'{"records":[{' + APPLE_JSON[1:-1], b',"width":73', b"}]}"),
    "the records twice, fifty thousand times": filled(b'{"records":[]', b',"records":[]', b',"records":[]}'),
    "valid records twice, ten thousand times": filled(
        b'{"records":[' + APPLE_JSON + b"]", b',"records":[' + APPLE_JSON + b"]", b"}"
    ),
    "bytes that are no UTF-8, at the end": records(*[APPLE] * MAX_RECORDS)[:-2] + b"\xff]}",
}
SECOND_FLOODS = {
    "a million brackets": b"[" * 1_000_000,
    "a million brackets for data": tensors_json(weight="[" * 500_000 + "]" * 500_000),
    "a million brackets for a parameter": tensors_json(more=f',"parameters":{{"a":{"[" * 500_000}{"]" * 500_000}}}'),
    "objects in objects": filled(b"", b'{"a":', b""),
    "unknown fields": filled(tensors_json()[:-1], lambda number: b"," + key(number)[:-1], b"}"),
    "a hundred thousand parameters": filled(tensors_json(more=',"parameters":{')[:-1], key, b'"z":1}}'),
    "a hundred thousand parameters, the last one twice": filled(
        tensors_json(more=',"parameters":{')[:-1], key, b'"z":1,"z":1}}'
    ),
    "a parameter twice, a hundred thousand times": filled(
        tensors_json(more=',"parameters":{')[:-1], b'"a":1,', b'"z":1}}'
    ),
    "an output twice, forty thousand times": filled(
        tensors_json(more=',"outputs":[')[:-1], b'{"name":"prediction"},', b'{"name":"low"}]}'
    ),
    "ten thousand tensors of one name": filled(b'{"inputs":[', tensor("weight", "[1]").encode() + b",", b"1]}"),
    "a shape of half a million dimensions": tensors_json()[:-2].replace(b"[1,1]", b"[1" + b",1" * 520_000 + b"]", 1)
    + b"]}",
    "half a million values for one row": tensors_json(weight="[1" + ",1" * 520_000 + "]"),
    "half a million values, the last one a word": tensors_json(weight="[1" + ",1" * 520_000 + ',"1"]'),
    "a quarter of a million nested rows": tensors_json(weight="[[1]" + ",[1]" * 260_000 + "]"),
    "a quarter of a million empty rows": tensors_json(weight="[[]" + ",[]" * 340_000 + "]"),
    "words without end": tensors_json(colour='["red"' + ',"red"' * 170_000 + "]"),
    "a word of a million characters": tensors_json(colour=f'["{"r" * 1_000_000}"]'),
    "a name of a million characters": tensors_json(**{"x" * 1_000_000: "[1]"}),
    "a number of a million digits": tensors_json(weight="[" + "1" * 1_000_000 + "]"),
    "a million decimals": tensors_json(weight="[1." + "1" * 1_000_000 + "]"),
    "an exponent of a million digits": tensors_json(weight="[1e" + "1" * 1_000_000 + "]"),
    "bytes that are no UTF-8, at the end": tensors(*[APPLE] * MAX_RECORDS)[:-2] + b"\xff]}",
}
FLOODS = [
    *[pytest.param("v1", body, id=f"typed-{name}") for name, body in TYPED_FLOODS.items()],
    *[pytest.param("v2", body, id=f"second-{name}") for name, body in SECOND_FLOODS.items()],
]


def test_an_event_loop_that_stands_still_is_seen(served):
    with watching(served) as longest:
        for worker in workers(served):
            worker.send_signal(signal.SIGSTOP)
        time.sleep(3 * BLOCKED)
        for worker in workers(served):
            worker.send_signal(signal.SIGCONT)
        time.sleep(BLOCKED)
    assert longest() > 2 * BLOCKED


@pytest.mark.parametrize(("api", "body"), FLOODS)
def test_a_flood_within_one_body_gets_400_and_blocks_nobody(served, api, body):
    assert len(body) <= MAX_BODY_BYTES
    answer, block = least_block(served, post(APIS[api][0], body))
    check_error(served, answer, 400, api)
    assert block < BLOCKED


def most_records(case, body):
    """The largest body that a case may be sent: as many records as are read or fit in, with the longest lists."""
    record = {
        name: ([*value] * feature.most)[: feature.most] if feature.is_list else value
        for (name, value), feature in zip(example(case.record).items(), features(case.record).values(), strict=True)
    }
    fits = (MAX_BODY_BYTES - 2_000) // max(len(body([record])), len(json.dumps(record)))
    return body([record] * min(fits, MAX_RECORDS))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.reads is None])
def test_the_largest_valid_request_of_the_typed_door_blocks_nobody(served, name):
    body = most_records(CASES[name], lambda rows: json.dumps({"records": rows}).encode())
    answer, block = least_block(served, post(CASES[name].route, body))
    assert answer.status == 200
    assert block < BLOCKED


@pytest.mark.parametrize("name", CASES)
def test_nor_does_that_of_the_v2_api(served, name):
    body = most_records(CASES[name], lambda rows: json.dumps({"inputs": server.tensors(CASES[name], rows)}).encode())
    answer, block = least_block(served, post(f"/v2/models/{name}/infer", body))
    assert answer.status == 200
    assert block < BLOCKED


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_what_the_typed_door_refuses_in_a_field_the_second_refuses_in_a_tensor(served, field, value):
    answer = ask(served, post(APIS["v2"][0], tensors_json(**{field: f"[[{value}]]"})))
    check_error(served, answer, 400, "v2")


# for a feature of each datatype: JSON values, and whether they are one
VALUES = {
    "weight": {
        **dict.fromkeys(["152", "152.0", "1.52e2", "1.52E+2", "15200e-2", "20", "500", "499.99999999999994"], True),
        **dict.fromkeys(
            ["19.999999999999996", "500.00000000000006", "-152", "-0", "0", "1e300", "-1e300", "1e400"], False
        ),
        **dict.fromkeys(
            ["1e-400", "Infinity", "-Infinity", "+Infinity", "NaN", "-NaN", "nan", "inf", "1e", "0x98"], False
        ),
        **dict.fromkeys(["+152", "0152", "152.", ".152e3", "1_52", "152f", "9" * 400, "-" + "9" * 400, "1,52"], False),
        **dict.fromkeys(['"152"', '"nan"', '""', "true", "false", "null", "[[152]]", "[]", "{}", "--1", ""], False),
    },
    "bedrooms": {
        **dict.fromkeys(["3", "0", "8"], True),
        **dict.fromkeys(["-1", "9", "3.5", "-0.5", "1e400", "NaN", "Infinity", '"3"', "true", "false", "null"], False),
        **dict.fromkeys(["9223372036854775808", "-9223372036854775809", "4294967299", "9" * 400, "{}", "03"], False),
    },
    "colour": {
        **dict.fromkeys(['"red"', r'"\u0072ed"'], True),
        **dict.fromkeys(
            ['"Red"', '"red "', '"re"', '""', r'"red\u0000"', r'"\ud800"', r'"red\ud800"', '"r\u0435d"'], False
        ),
        **dict.fromkeys(["red", "'red'", "1", "null", "true", '{"red":1}', '"red', r'"\x72ed"', '"re\nd"'], False),
    },
}
EACH_VALUE = [(field, value, good) for field, values in VALUES.items() for value, good in values.items()]


@pytest.mark.parametrize(("field", "value", "good"), EACH_VALUE, ids=lambda each: str(each)[:30])
def test_both_apis_agree_on_what_is_a_value(served, field, value, good):
    name = "house" if field in HOUSE else "fruit"
    typed = {"house": "/v1/house-price", "fruit": "/v1/fruit"}[name]
    second = {"house": "/v2/models/house_price/infer", "fruit": "/v2/models/fruit/infer"}[name]
    first_answer = ask(served, post(typed, record_json(**{field: value})))
    second_answer = ask(served, post(second, tensors_json(**{field: f"[{value}]"})))
    assert [first_answer.status, second_answer.status] == [200 if good else 400] * 2, (first_answer, second_answer)


TWICE = {
    "a field": ("v1", record_json()[:-3] + b',"weight":152}]}'),
    "a field, once written with an escape": ("v1", record_json()[:-3] + rb',"w\u0065ight":152}]}'),
    "a field of the last record": ("v1", records(*[APPLE] * 20)[:-3] + b',"colour":"red"}]}'),
    "the records": ("v1", record_json()[:-1] + b',"records":[' + APPLE_JSON + b"]}"),
    "the inputs": ("v2", b"{" + tensors_json()[1:-1] + b"," + tensors_json()[1:]),
    "a tensor": ("v2", tensors_json().replace(b'"length"', b'"weight"')),
    "a tensor beside all others": ("v2", tensors_json()[:-2] + b"," + tensor("weight", "[152]").encode() + b"]}"),
    "the data of a tensor": ("v2", tensors_json()[:-3] + b',"data":["red"]}]}'),
    "the data, once written with an escape": ("v2", tensors_json()[:-3] + rb',"d\u0061ta":["red"]}]}'),
    "the id": ("v2", tensors_json(more=',"id":"a","id":"a"')),
    "the id, with colons": ("v2", tensors_json(more=',"id":":::","id":"a"')),
    "a parameter": ("v2", tensors_json(more=',"parameters":{"a":1,"a":1}')),
    "a parameter of a tensor": ("v2", tensors_json()[:-3] + b',"parameters":{"a":1,"a":2}}]}'),
    "a parameter of an output": (
        "v2",
        tensors_json(more=',"outputs":[{"name":"prediction","parameters":{"a":1,"a":2}}]'),
    ),
    "the name of an output": ("v2", tensors_json(more=',"outputs":[{"name":"prediction","name":"prediction"}]')),
}


@pytest.mark.parametrize(("api", "body"), TWICE.values(), ids=TWICE)
def test_nothing_may_stand_twice_in_the_same_place(served, api, body):
    answer = ask(served, post(APIS[api][0], body))
    check_error(served, answer, 400, api)
    assert "twice" in answer.json()["error"]


NO_REQUEST = {
    "nothing": b"",
    "blanks": b" \n\t ",
    "null": b"null",
    "a number": b"1",
    "a string": b'"records"',
    "a list": b"[]",
    "an empty object": b"{}",
    "broken JSON": b'{"records":[',
    "a comment": record_json() + b"// an apple",
    "two requests": record_json() + record_json(),
    "a comma too many": record_json()[:-1] + b",}",
    "single quotes": record_json().replace(b'"', b"'"),
    "a byte order mark": b"\xef\xbb\xbf" + record_json(),
    "UTF-16": record_json().decode().encode("utf-16"),
    "UTF-32": record_json().decode().encode("utf-32"),
    "Latin-1": record_json(colour='"r\xe9d"').decode().encode("latin-1"),
    "an overlong encoding": record_json(colour='"@"').replace(b"@", b"\xc1\xb2ed"),
    "a surrogate in UTF-8": record_json(colour='"@"').replace(b"@", b"\xed\xa0\x80"),
    "a NUL": record_json() + b"\0",
    "XML": b"<records/>",
    "a form": b"weight=152&length=71&width=73&colour=red",
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
    "the other API's body": None,
    "an unknown field": None,
    "a field written in capitals": None,
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", NO_REQUEST)
def test_what_is_no_request_gets_400(served, api, name):
    (path, body), (_, other) = APIS[api], APIS["v2" if api == "v1" else "v1"]
    own = {
        "the other API's body": other(APPLE),
        "an unknown field": body(APPLE)[:-1] + b',"verbose":true}',
        "a field written in capitals": body(APPLE)
        .replace(b'"records"', b'"Records"')
        .replace(b'"inputs"', b'"INPUTS"'),
    }
    said = own.get(name, NO_REQUEST[name])
    if api == "v2" and name not in own:
        said = said.replace(record_json(), tensors_json())
    check_error(served, ask(served, post(path, said)), 400, api)


SECOND_ONLY = {
    "no inputs": b'{"inputs":[]}',
    "an input left out": b'{"inputs":[' + tensor("weight", "[152]").encode() + b"]}",
    "a tensor without data": tensors_json()[:-2] + b',{"name":"x","shape":[1],"datatype":"FP64"}]}',
    "an unknown field of a tensor": tensors_json()[:-3] + b',"byte_order":"big"}]}',
    "another datatype": tensors_json().replace(b"FP64", b"FP32", 1),
    "an unknown datatype": tensors_json().replace(b"FP64", b"float", 1),
    "a shape without dimensions": tensors_json().replace(b"[1,1]", b"[]", 1),
    "no rows": tensors_json().replace(b"[1,1]", b"[0,1]"),
    "fewer than no rows": tensors_json().replace(b"[1,1]", b"[-1,1]"),
    "two columns": tensors_json().replace(b"[1,1]", b"[1,2]", 1),
    "three dimensions": tensors_json().replace(b"[1,1]", b"[1,1,1]", 1),
    "more rows than values": tensors_json().replace(b"[1,1]", b"[2,1]"),
    "more values than rows": tensors_json(weight="[152,152]"),
    "more rows than are read": tensors(*[APPLE] * (MAX_RECORDS + 1)),
    "rows beyond 64 bits": tensors_json().replace(b"[1,1]", b"[18446744073709551617,1]"),
    "rows that are no whole number": tensors_json().replace(b"[1,1]", b"[1.5,1]"),
    "rows of different lengths": tensors_json(weight="[[152],[]]"),
    "an unknown output": tensors_json(more=',"outputs":[{"name":"secret"}]'),
    "an id that is a number": tensors_json(more=',"id":7'),
    "a parameter that is a list": tensors_json(more=',"parameters":{"a":[1]}'),
    "the binary extension": tensors_json().replace(b'"data":[152]', b'"parameters":{"binary_data_size":8}'),
}


@pytest.mark.parametrize("body", SECOND_ONLY.values(), ids=SECOND_ONLY)
def test_tensors_that_do_not_fit_together_get_400(served, body):
    check_error(served, ask(served, post(APIS["v2"][0], body)), 400, "v2")


MEDIA = {
    "multipart without a boundary": "Content-Type: multipart/form-data",
    "multipart": "Content-Type: multipart/form-data; boundary=x",
    "a form": "Content-Type: application/x-www-form-urlencoded",
    "plain text": "Content-Type: text/plain",
    "BentoML's pickle": "Content-Type: application/vnd.bentoml+pickle",
    "Arrow": "Content-Type: application/vnd.apache.arrow.file",
    "the protocol's binary extension": "Content-Type: application/octet-stream",
    "something like JSON": "Content-Type: application/jsonp",
    "an empty type": "Content-Type:",
    "bytes that are no text": "Content-Type: \xff\xfe",
    "a bogus encoding": "Content-Encoding: bogus",
    "gzip": "Content-Encoding: gzip",
    "two encodings": "Content-Encoding: identity, gzip",
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("header", MEDIA.values(), ids=MEDIA)
def test_what_is_not_declared_to_be_plain_json_gets_415(served, api, header):
    check_error(served, ask(served, question(api, header)), 415, api)


@pytest.mark.parametrize("api", APIS)
def test_plain_json_may_be_declared_in_any_way(served, api):
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json ;charset=UTF-8"):
        assert ask(served, question(api, f"Content-Type: {kind}", "Content-Encoding: identity")).status == 200


def test_what_a_client_sends_makes_no_second_line_in_the_log(served):
    path = "/v1/fruit%0A2099-01-01%20[ERROR]%20forged"
    answer = ask(served, post(path, b"{}", "X-Request-ID: forged\x85[ERROR]"))
    check_error(served, answer, 404)
    for said in (
        records(APPLE | {"colour": "x\n[ERROR] forged"}),
        tensors(APPLE | {"colour": "x\u2028[ERROR] forged"}),
    ):
        for path, _ in APIS.values():
            (line,) = log_lines(served, ask(served, post(path, said)).headers["x-request-id"])
            assert "[WARNING]" in line
    assert not [line for line in served.log.read_text().splitlines() if line.startswith(("[ERROR] forged", "2099"))]


def test_the_service_is_as_before(served):
    """After all of the above: no failure, no trace, and the answer that it always gave."""
    for api in APIS:
        assert ask(served, question(api)).status == 200
    log = served.log.read_text()
    assert "Traceback" not in log
    assert "[ERROR]" not in [line.split()[1] for line in log.splitlines() if len(line.split()) > 1]
