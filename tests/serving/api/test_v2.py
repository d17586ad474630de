"""The v2 API keeps the Open Inference Protocol, and answers and refuses what the v1 API does."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from support.echo import ROW
from support.inprocess import client, front
from support.server import tensors
from support.strategies import records

from slipway.cases import CASES
from slipway.core.feature import features
from slipway.core.model import DTYPES
from slipway.core.record import example
from slipway.serving.http import admission
from slipway.serving.http.limits import MAX_BODY_BYTES, MAX_RECORDS
from slipway.training.data import load

JSON = {"Content-Type": "application/json"}
APPLE = example(CASES["fruit"].record)
INFER = "/v2/models/fruit/infer"


FRUIT = tensors(CASES["fruit"], [APPLE])


def infer(client, inputs=FRUIT, model="fruit", **more):
    return client.post(f"/v2/models/{model}/infer", json={"inputs": inputs} | more)


def outputs(answer):
    """The outputs by name, as arrays of their shapes."""
    assert answer.status_code == 200, answer.text
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer.json()["outputs"]}


def typed(served, arrays):
    """The results of the v1 API, from the outputs of this one."""
    dtypes = {output.name: DTYPES[output.datatype] for output in served.model.card.outputs}
    results = served.case.answers(
        {name: array.astype(dtypes[name]) for name, array in arrays.items()}, served.model.card
    )
    return [result.model_dump(mode="json") for result in results]


def api(models, **options):
    """A client of the v2 API of some models."""
    return client(front(models, **options))


# What is there


def test_the_server_tells_its_name_its_version_and_its_extensions(served):
    for path in ("/v2", "/v2/"):
        about = served.client.get(path).json()
        assert about["name"] == "slipway"
        assert re.fullmatch(r"\d+\.\d+\.\d+", about["version"])
        assert about["extensions"] == ["binary_tensor_data"]


def test_a_model_tells_what_it_takes_and_answers(served):
    about = served.client.get("/v2/models/house_price").json()
    assert about["name"] == "house_price"
    assert about["platform"] == "onnx_onnxv1"
    inputs = {each["name"]: (each["datatype"], each["shape"]) for each in about["inputs"]}
    assert list(inputs) == CASES["house_price"].features
    assert inputs["living_area"] == ("FP64", [-1, 1])
    assert inputs["bedrooms"] == ("INT64", [-1, 1])
    assert inputs["condition"] == ("BYTES", [-1, 1])
    assert [each["name"] for each in about["outputs"]] == ["prediction", "low", "high"]


@pytest.mark.parametrize("name", CASES)
def test_answers_are_as_the_metadata_says(served, name):
    about = served.client.get(f"/v2/models/{name}").json()
    rows = [example(CASES[name].record)] * 3
    answer = infer(served.client, tensors(CASES[name], rows), name).json()
    assert answer["model_name"] == name
    assert [answer["model_version"]] == about["versions"]
    for given_, promised in zip(answer["outputs"], about["outputs"], strict=True):
        assert (given_["name"], given_["datatype"]) == (promised["name"], promised["datatype"])
        assert given_["shape"] == [3 if size == -1 else size for size in promised["shape"]]
        assert len(given_["data"]) == np.prod(given_["shape"])


def test_a_model_is_also_found_by_its_version(served):
    (version,) = served.client.get("/v2/models/fruit").json()["versions"]
    for path in ("", "/ready"):
        plain, versioned = (
            served.client.get(f"/v2/models/fruit{middle}{path}") for middle in ("", f"/versions/{version}")
        )
        assert plain.status_code == versioned.status_code == 200
        assert plain.json() == versioned.json()
    answer = served.client.post(f"/v2/models/fruit/versions/{version}/infer", json={"inputs": FRUIT})
    assert answer.json() == infer(served.client).json()


def test_it_lives_and_is_ready(served):
    assert served.client.get("/v2/health/live").json()["live"] is True
    assert served.client.get("/v2/health/ready").json()["ready"] is True
    assert served.client.get("/v2/models/fruit/ready").json() == {"name": "fruit", "ready": True}


def test_a_head_is_answered_like_a_get_without_the_body(served):
    answer = served.client.head("/v2/models/fruit")
    assert answer.status_code == 200
    assert answer.content == b""


# What is asked


def test_data_may_be_flat_or_nested_and_a_shape_have_one_dimension_or_two(served):
    rows = [APPLE, APPLE | {"weight": 30}, APPLE | {"colour": "yellow"}]
    flat = tensors(CASES["fruit"], rows)
    nested = [each | {"data": [[value] for value in each["data"]]} for each in flat]
    expected = infer(served.client, flat).json()
    assert expected["outputs"][0]["shape"] == [3]
    for inputs in (flat, nested):
        for shape in ([3, 1], [3]):
            assert infer(served.client, [each | {"shape": shape} for each in inputs]).json() == expected


def test_the_inputs_may_stand_in_any_order(served):
    assert infer(served.client, FRUIT[::-1]).json() == infer(served.client).json()


def test_the_outputs_asked_for_are_given_in_their_order(served):
    def names(**more):
        return [output["name"] for output in infer(served.client, **more).json()["outputs"]]

    assert names() == names(outputs=[]) == ["prediction", "probabilities"]
    assert names(outputs=[{"name": "probabilities"}]) == ["probabilities"]
    assert names(outputs=[{"name": "probabilities"}, {"name": "prediction"}]) == ["probabilities", "prediction"]


@pytest.mark.parametrize("name", ["42", "", "a:b", "ü😀", '"'])
def test_the_id_comes_back(served, name):
    assert infer(served.client, id=name).json()["id"] == name


def test_without_an_id_there_is_none_in_the_answer(served):
    assert "id" not in infer(served.client).json()


def test_what_need_not_be_there_may_be_null(served):
    """Some clients write every field that they know."""
    nulls = {"id": None, "outputs": None, "parameters": None}
    assert infer(served.client, **nulls).json() == infer(served.client).json()
    inputs = [each | {"parameters": None} for each in FRUIT]
    wanted = [{"name": "prediction", "parameters": None}]
    assert infer(served.client, inputs, outputs=wanted).json() == infer(served.client, outputs=wanted).json()


def test_parameters_are_taken_and_change_nothing(served):
    some = {"parameters": {"a": 1, "b": "two", "c": True, "d": 0.5}}
    inputs = [each | some for each in FRUIT]
    wanted = [{"name": "prediction"} | some, {"name": "probabilities"} | some]
    assert infer(served.client, inputs, outputs=wanted, **some).json() == infer(served.client).json()


def test_kserve_s_client_may_name_the_model_in_the_body(served):
    assert infer(served.client, model_name="fruit").status_code == 200
    assert infer(served.client, model_name="house_price").json() == {"error": "this is fruit, not 'house_price'"}


def test_as_many_rows_as_allowed_are_answered(served):
    assert len(outputs(infer(served.client, tensors(CASES["fruit"], [APPLE] * MAX_RECORDS)))["prediction"]) == 1000


def test_nan_is_null_where_null_is_allowed_and_refused_elsewhere(served):
    case = CASES["credit_risk"]
    plain = json.dumps({"inputs": tensors(case, [example(case.record) | {"income": None}]), "id": "NaN, NaN"})
    strange = plain.replace("[null]", "[NaN]")
    assert strange != plain
    one, other = (
        served.client.post("/v2/models/credit_risk/infer", content=body, headers=JSON) for body in (plain, strange)
    )
    assert one.status_code == other.status_code == 200
    assert one.json() == other.json()
    assert one.json()["id"] == "NaN, NaN"
    refused = plain.replace("[null]", "[1]").replace('"data": [60]', '"data": [NaN]')
    assert served.client.post("/v2/models/credit_risk/infer", content=refused, headers=JSON).status_code == 400


@pytest.fixture
def echo(echoing):
    """A client of the v2 API of a model that answers with its inputs."""
    return api(echoing)


def test_every_datatype_that_a_record_can_have_goes_in_and_comes_out(echo):
    rows = [ROW, ROW | {"level": 1, "gain": -1e300, "known": None, "count": 5, "lit": False, "word": "red"}]
    asked = tensors(CASES["echo"], rows)
    assert {each["datatype"] for each in asked} == {"FP64", "INT64", "BOOL", "BYTES"}
    answer = infer(echo, asked, "echo").json()
    told = {each["name"]: (each["datatype"], each["shape"], each["data"]) for each in answer["outputs"]}
    assert told["prediction"] == ("FP64", [2, 1], [0.1, 1])
    assert told["gain_again"] == ("FP64", [2, 1], [1.5, -1e300])
    assert told["known_again"] == ("FP64", [2, 1], [9.5, None])
    assert told["count_again"] == ("INT64", [2, 1], [-5, 5])
    assert told["lit_again"] == ("BOOL", [2, 1], [True, False])
    assert told["word_again"] == ("BYTES", [2, 1], ["grün", "red"])
    assert told["note_again"] == ("BYTES", [2, 1], ["a, b", "a, b"])
    assert told["level_as_float"] == ("FP32", [2, 1], [float(np.float32(0.1)), 1])


@pytest.mark.parametrize(("name", "value"), [("lit", 1), ("lit", "true"), ("level", True), ("count", False)])
def test_a_truth_value_is_one_and_nothing_else_is(echo, name, value):
    assert infer(echo, tensors(CASES["echo"], [ROW]), "echo").status_code == 200
    assert infer(echo, tensors(CASES["echo"], [ROW | {name: value}]), "echo").status_code == 400


# What is refused


def changed(position, **what):
    return [each | what if i == position else each for i, each in enumerate(FRUIT)]


BAD_REQUESTS = {
    "no inputs": {"inputs": []},
    "inputs that are no list": {"inputs": {}},
    "an input left out": {"inputs": FRUIT[1:]},
    "an input twice": {"inputs": [*FRUIT, FRUIT[0]]},
    "an unknown input": {"inputs": [*FRUIT, FRUIT[0] | {"name": "ripeness"}]},
    "an input without data": {"inputs": [{key: FRUIT[0][key] for key in ("name", "shape", "datatype")}, *FRUIT[1:]]},
    "a field that inputs do not have": {"inputs": changed(0, unit="g")},
    "a field that requests do not have": {"inputs": FRUIT, "verbose": True},
    "another datatype": {"inputs": changed(0, datatype="FP32")},
    "a datatype in small letters": {"inputs": changed(0, datatype="fp64")},
    "no rows": {"inputs": [each | {"shape": [0, 1], "data": []} for each in FRUIT]},
    "an empty shape": {"inputs": changed(0, shape=[])},
    "a shape of two columns": {"inputs": changed(0, shape=[1, 2], data=[1, 2])},
    "a shape with a word": {"inputs": changed(0, shape=["1", 1])},
    "a shape with a point": {"inputs": changed(0, shape=[1.0, 1])},
    "a negative shape": {"inputs": changed(0, shape=[-1, 1])},
    "other rows in one input": {"inputs": changed(3, shape=[2, 1], data=["red", "red"])},
    "fewer data than its shape says": {"inputs": changed(3, data=[])},
    "more data than its shape says": {"inputs": changed(3, data=["red", "red"])},
    "too many rows": {"inputs": tensors(CASES["fruit"], [APPLE] * (MAX_RECORDS + 1))},
    "an unknown output": {"inputs": FRUIT, "outputs": [{"name": "price"}]},
    "an output twice": {"inputs": FRUIT, "outputs": [{"name": "prediction"}] * 2},
    "an output without a name": {"inputs": FRUIT, "outputs": [{}]},
    "an id that is a number": {"inputs": FRUIT, "id": 42},
    "a parameter that is null": {"inputs": FRUIT, "parameters": {"a": None}},
    "a model's name that is null": {"inputs": FRUIT, "model_name": None},
    "data that are null": {"inputs": changed(0, data=None)},
    "outputs in bytes, perhaps": {"inputs": FRUIT, "parameters": {"binary_data_output": "yes"}},
    "an output in one byte": {"inputs": FRUIT, "outputs": [{"name": "prediction", "parameters": {"binary_data": 1}}]},
    "a parameter that is an object": {"inputs": FRUIT, "parameters": {"a": {}}},
}


@pytest.mark.parametrize("body", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_request_that_is_not_of_the_protocol_gets_400(served, body):
    answer = served.client.post(INFER, json=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert len(answer.json()["error"]) > 10


APPLE_TEXT = json.dumps({"inputs": FRUIT, "id": "a:b"})
BAD_TEXTS = {
    "nothing": "",
    "broken JSON": APPLE_TEXT[:-1],
    "something after it": APPLE_TEXT + "{}",
    "a list": f"[{APPLE_TEXT}]",
    "NaN": APPLE_TEXT.replace("152", "NaN"),
    "Infinity": APPLE_TEXT.replace("152", "Infinity"),
    "1e400": APPLE_TEXT.replace("152", "1e400"),
    "five thousand digits": APPLE_TEXT.replace("152", "1" * 5000),
    "a word that is no UTF-8": APPLE_TEXT.encode().replace(b"red", b"r\xff"),
    "an id that is no UTF-8": APPLE_TEXT.encode().replace(b"a:b", b"\xff"),
    "half a character": APPLE_TEXT.replace("a:b", "\\ud83d"),
    "a key twice": APPLE_TEXT.replace('"id"', '"id": "7", "id"'),
    "a key twice in an input": APPLE_TEXT.replace('"name"', '"name": "width", "name"', 1),
    "a key twice in parameters": APPLE_TEXT.replace('"id"', '"parameters": {"a": 1, "a": 2}, "id"'),
    "many brackets": APPLE_TEXT.replace("152", "[" * 100_000),
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_body_that_is_not_one_valid_json_object_gets_400(served, text):
    assert served.client.post(INFER, content=APPLE_TEXT, headers=JSON).status_code == 200
    answer = served.client.post(INFER, content=text, headers=JSON)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_the_error_names_input_and_problem(served):
    def error(inputs):
        return infer(served.client, inputs).json()["error"]

    assert error(FRUIT[1:]) == "there is no input weight"
    assert error(changed(0, data=[700])) == "input 'weight': 700.0 is too large"
    assert error(changed(0, datatype="INT64")) == "input 'weight' is FP64, not INT64"
    assert error(changed(3, data=["blue"])) == "input 'colour': 'blue' is none of brown, green, orange, red, yellow"
    assert error(changed(3, shape=[2, 1])) == "input 'colour': its shape must be [1, 1], as of all inputs"


NOT_THERE = [
    ("GET", "/v2/nothing"),
    ("GET", "/v2/models"),
    ("GET", "/v2/models/nothing"),
    ("GET", "/v2/models/nothing/ready"),
    ("POST", "/v2/models/nothing/infer"),
    ("GET", "/v2/models/fruit/versions"),
    ("GET", "/v2/models/fruit/versions/1"),
    ("POST", "/v2/models/fruit/versions/1/infer"),
    ("POST", "/v2/models/fruit/infer/more"),
    ("GET", "/v2/health"),
]


@pytest.mark.parametrize(("method", "path"), NOT_THERE)
def test_what_is_not_there_gets_404(served, method, path):
    answer = served.client.request(method, path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(("method", "path"), [("GET", INFER), ("PUT", INFER), ("DELETE", INFER), ("OPTIONS", INFER)])
def test_another_method_than_post_gets_405_where_a_model_is_asked(served, method, path):
    answer = served.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/fruit"])
def test_another_method_than_get_gets_405_elsewhere(served, path):
    answer = served.client.post(path, json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert set(answer.json()) == {"error"}


def test_a_body_too_large_gets_413(served):
    answer = served.client.post(INFER, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert answer.status_code == 413
    assert set(answer.json()) == {"error"}


def test_a_body_that_is_not_json_gets_415(served):
    for headers in ({"Content-Type": "text/plain"}, JSON | {"Content-Encoding": "gzip"}):
        answer = served.client.post(INFER, content=APPLE_TEXT, headers=headers)
        assert answer.status_code == 415
        assert set(answer.json()) == {"error"}


def test_too_many_requests_get_429_and_when_to_come_again(loaded, monkeypatch):
    monkeypatch.setattr(admission, "MAX_PENDING_REQUESTS", 0)
    answer = infer(api(loaded))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert set(answer.json()) == {"error"}


def test_without_a_token_where_one_is_asked_for_only_health_is_answered(loaded):
    asked = api(loaded, tokens=[b"secret"])
    for answer in (asked.get("/v2"), asked.get("/v2/models/fruit"), infer(asked)):
        assert answer.status_code == 401
        assert set(answer.json()) == {"error"}
    assert asked.get("/v2/health/live").status_code == 200
    asked.headers["Authorization"] = "Bearer secret"
    assert infer(asked).status_code == 200


def test_a_worker_that_is_not_ready_says_so_by_its_status(loaded):
    """Clients look at nothing else: KServe's and Triton's take any 200 for a yes."""
    app = front(loaded)
    asked = client(app)
    assert asked.get("/v2/health/ready").json() == {"live": True, "ready": True}
    app.worker.is_ready = False
    for path in ("/v2/health/ready", "/v2/models/fruit/ready"):
        assert asked.get(path).status_code == 503
        assert set(asked.get(path).json()) == {"error"}
    assert asked.get("/v2/health/live").json() == {"live": True}


def test_what_is_not_below_v2_is_left_to_the_service(loaded):
    asked = api(loaded)
    assert asked.get("/v1/fruit").text == asked.get("/v2x").text == "elsewhere"


# As at the v1 API


OF_JSON = [name for name, case in CASES.items() if case.reads is None]
OF_ROWS = [name for name in OF_JSON if set(CASES[name].features) <= set(CASES[name].row.model_fields)]


@pytest.mark.parametrize("name", OF_ROWS)
def test_the_test_split_gets_the_same_numbers_at_both_apis(served, loaded, name):
    case = CASES[name]
    _, test = train_test_split(load(name)[case.features], test_size=0.2, random_state=0)
    rows = test.astype(object).where(test.notna(), None).to_dict("records")[:MAX_RECORDS]
    assert len(rows) > 100
    results = served.client.post(case.route, json={"records": rows}).json()["results"]
    arrays = outputs(infer(served.client, tensors(case, rows), name))
    assert typed(loaded.served[name], arrays) == results


def texts(feature):
    """The text of a JSON value: valid or at the edge of it, of another type, or no JSON at all."""
    rule = feature.rule
    edges = [rule[each] for each in ("minimum", "maximum", "exclusiveMaximum") if each in rule]
    steps = [np.nextafter(float(edge), direction).item() for edge in edges for direction in (-np.inf, np.inf)]
    near = [*edges, *steps, *(edge + step for edge in edges for step in (-1, 1)), *rule.get("enum", [])]
    other = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    numbers = ["1e400", "1e300", "152.0", "15e1", "01", "9" * 30]
    odd = st.sampled_from([*numbers, '"152"', "[152]", "[]", "{}", '"\\u0061"'])
    found = (st.sampled_from(near) | other).map(json.dumps) | odd
    if feature.is_nullable:  # JSON has no NaN: this api takes it for null, as Triton's client means it
        found = found.filter(lambda text: text != "NaN")
    # in a list of several lengths, 0 is no value at one API and fills up in the other
    return found.filter(lambda text: not re.fullmatch(r"-?0(\.0)?", text)) if feature.is_padded else found


@st.composite
def requests(draw, case):
    """Records, as rows of texts, of which one value at most is not known to be valid; lists are lists of texts."""
    several = draw(records(case))
    about = features(case.record)
    lists = [name for name, feature in about.items() if feature.is_list]
    rows = [
        {name: list(map(json.dumps, value)) if name in lists else json.dumps(value) for name, value in row.items()}
        for row in several
        if all(len(row[name]) == len(several[0][name]) for name in lists)  # of one length: one shape
    ]
    name = draw(st.sampled_from(case.features))
    match draw(st.sampled_from(["valid", "changed", "changed", "missing", "unknown"])):
        case "changed":
            row, text = draw(st.sampled_from(rows)), draw(texts(about[name]))
            if name not in lists:
                row[name] = text
            elif row[name]:
                row[name][draw(st.integers(0, len(row[name]) - 1))] = text
        case "missing":
            for row in rows:
                del row[name]
        case "unknown":
            for row in rows:
                row["ripeness"] = "1"
    return rows


@pytest.mark.parametrize("name", OF_JSON)
def test_both_apis_take_and_refuse_the_same_and_answer_alike(served, loaded, name):
    case = CASES[name]
    datatypes = {each["name"]: each["datatype"] for each in tensors(case, [example(case.record)])}
    seen = set()

    def text(value):
        return f"[{', '.join(value)}]" if isinstance(value, list) else value

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(requests(case))
    def agree(rows):
        fields = (", ".join(f'"{key}": {text(value)}' for key, value in row.items()) for row in rows)
        typed_body = f'{{"records": [{", ".join(f"{{{each}}}" for each in fields)}]}}'
        columns = (
            f'{{"name": "{key}", "datatype": "{datatypes.get(key, "INT64")}", '
            f'"shape": [{len(rows)}, {len(value) if isinstance(value, list) else 1}], '
            f'"data": [{", ".join(text(row[key]) for row in rows)}]}}'
            for key, value in rows[0].items()
        )
        body = f'{{"inputs": [{", ".join(columns)}]}}'
        one = served.client.post(case.route, content=typed_body, headers=JSON)
        other = served.client.post(f"/v2/models/{name}/infer", content=body, headers=JSON)
        assert one.status_code == other.status_code, (one.text[:300], other.text[:300])
        seen.add(one.status_code)
        if one.status_code == 200:
            assert typed(loaded.served[name], outputs(other)) == one.json()["results"]

    agree()
    assert seen == {200, 400}
