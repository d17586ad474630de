"""The v1 API reads bodies and writes results without an object a record, and nobody can tell it from pydantic."""

import json
import math
from typing import Annotated, Self

import pytest
from bentoml.exceptions import InvalidArgument
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from support.inprocess import load_models
from support.strategies import records

from service import Slipway
from slipway.cases import CASES
from slipway.core.feature import features
from slipway.core.record import Record, example
from slipway.core.rows import Rows
from slipway.serving.api.records import reader
from slipway.serving.api.v1 import Batch, Results
from slipway.serving.http.limits import MAX_RECORD_BYTES, MAX_RECORDS

HAS_VALIDATOR = {"recommendation"}  # as many films as stars
FAST = [name for name in CASES if name not in HAS_VALIDATOR]
FRUIT = CASES["fruit"].record
APPLE = example(FRUIT)


@pytest.fixture(scope="module")
def models():
    return load_models()


def verdict(batch, body, **options):
    """What a batch makes of a body: what its records hold, with their types and signs, or what is wrong with it."""
    try:
        read = batch.model_validate_json(body, **options)
    except ValidationError as error:
        return [(problem["loc"], problem["msg"]) for problem in error.errors()]
    except InvalidArgument as error:
        return str(error)
    return [repr(record.model_dump()) for record in read.records]


def by_pydantic(batch, body):
    """The same without the fast reader, which leaves a call with options to pydantic."""
    return verdict(batch, body, strict=True)


def text(records):
    """The body with some records."""
    return json.dumps({"records": records}).encode()


# Bodies that are valid, nearly valid, or nothing at all

ODD = [
    *(
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e0",
        "1E2",
        "1e+2",
        "1e-2",
        "152.0",
        "0.1e1",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "0x10",
    ),
    *("1e15", "1e300", "1e400", "-1e400", "1e-400", "4.9e-324", "9007199254740993", "9223372036854775808", "9" * 30),
    *("1" * 400, "5" * 5000, "0." + "1" * 900, "NaN", "Infinity", "-Infinity", "nan", "null", "true", "false", ""),
    *('"1"', '"red"', '"\\u0072ed"', '"red\\u0000"', '"Red"', '""', '"\\ud83d"', '"a:b"', '"}"', "[]", "[1]", "[[1]]"),
    *("{}", '{"a": 1}', " 7 ", "\t7\n", "\u00a07", "1//x", "1_0", "[null]", "[true]", "[1.0, 2]"),
]


def edges(feature):
    """The texts of values at the ends of a feature's range and just beyond, of its words, and of something odd."""
    rule = feature.rule
    ends = [rule[each] for each in ("minimum", "maximum", "exclusiveMaximum") if each in rule]
    beyond = [math.nextafter(end, toward) for end in ends for toward in (-math.inf, math.inf)]
    near = [*ends, *beyond, *(float(end) for end in ends), *(end + 1 for end in ends), *rule.get("enum", [])]
    return [*map(json.dumps, near), *ODD]


def value_texts(feature):
    """The text of any value, valid or not."""
    other = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    scalar = st.sampled_from(edges(feature)) | other.map(json.dumps)
    return scalar | st.lists(scalar, max_size=5).map(lambda texts: f"[{', '.join(texts)}]")


@st.composite
def bodies(draw, case):
    """The body of valid records with up to two changes: to a value, to the fields, or to a byte."""
    rows = [{name: json.dumps(value) for name, value in row.items()} for row in draw(records(case))]
    objects = []
    for row in rows:
        fields = [[json.dumps(name), value] for name, value in row.items()]
        objects.append(draw(st.permutations(fields)) if draw(st.booleans()) else fields)
    before = after = ""
    changes = draw(
        st.lists(st.sampled_from(["value", "missing", "extra", "twice", "key", "frame", "byte"]), max_size=2)
    )
    for change in changes:
        fields = draw(st.sampled_from(objects))
        if not fields:
            continue
        at = draw(st.integers(0, len(fields) - 1))
        match change:
            case "value":
                name = draw(st.sampled_from(case.features))
                for field in fields:
                    if field[0] == json.dumps(name):
                        field[1] = draw(value_texts(features(case.record)[name]))
            case "missing":
                del fields[at]
            case "extra":
                fields.insert(at, [json.dumps(draw(st.text(max_size=5))), draw(st.sampled_from(ODD))])
            case "twice":
                fields.insert(draw(st.integers(0, len(fields))), list(fields[at]))
            case "key":  # another way to write it, or another key
                key = fields[at][0].strip('"')
                escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
                fields[at][0] = draw(st.sampled_from([f'"{escaped}"', f'"{key} "', f'"{key.upper()}"', key]))
            case "frame":
                before, after = draw(
                    st.sampled_from([("", ', "more": 1'), ("", ', "records": []'), ('"records": [], ', ""), ("1", "")])
                )
    comma, colon = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", "\t:\r\n ")]))
    lines = (comma.join(f"{key}{colon}{value}" for key, value in fields) for fields in objects)
    body = f'{{{before}"records"{colon}[{comma.join(f"{{{line}}}" for line in lines)}]{after}}}'.encode()
    if "byte" in changes:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 1)) :]
    return body


@pytest.mark.parametrize("name", CASES)
def test_at_the_edges_of_every_feature_they_agree(name):
    record, batch = CASES[name].record, Batch[CASES[name].record]
    given = {key: json.dumps(value) for key, value in example(record).items()}
    for key, feature in features(record).items():
        for edge in edges(feature):
            sizes = (feature.least - 1, feature.least, feature.most, feature.most + 1)
            values = [f"[{', '.join([edge] * size)}]" for size in sizes]
            for value in values if feature.is_list else [edge]:
                fields = ", ".join(f'"{each}": {there}' for each, there in (given | {key: value}).items())
                body = f'{{"records": [{{{fields}}}]}}'.encode()
                assert verdict(batch, body) == by_pydantic(batch, body), (key, value)


@pytest.mark.parametrize("name", CASES)
def test_the_fast_reader_takes_refuses_and_reads_what_pydantic_does(name):
    case = CASES[name]
    batch, read = Batch[case.record], set()

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(bodies(case))
    def agree(body):
        columns = reader(case.record).read(body)
        read.add(columns is not None)
        assert verdict(batch, body) == by_pydantic(batch, body)

    agree()
    assert read == ({False} if name in HAS_VALIDATOR else {True, False})


@pytest.mark.parametrize("name", FAST)
def test_what_is_valid_is_read_fast_and_reads_as_records(name):
    case = CASES[name]

    @settings(derandomize=True, max_examples=50, deadline=None)
    @given(records(case))
    def fast(rows):
        batch = Batch[case.record].model_validate_json(text(rows))
        assert isinstance(batch.records, Rows)
        assert all(isinstance(record, case.record) for record in batch.records)
        assert batch == Batch[case.record].model_validate({"records": rows})

    fast()


@pytest.mark.parametrize("size", [MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES * 3])
@pytest.mark.parametrize("before", [0, 1, 99, 150])
@pytest.mark.parametrize("after", [0, 1, 150])
def test_a_record_may_have_so_many_bytes_wherever_it_stands(size, before, after):
    apple = json.dumps(APPLE)
    padded = apple[:-1] + " " * (size - len(apple)) + "}"
    body = f'{{"records": [{", ".join([apple] * before + [padded] + [apple] * after)}]}}'.encode()
    found = verdict(Batch[FRUIT], body)
    assert found == by_pydantic(Batch[FRUIT], body)
    if size <= MAX_RECORD_BYTES:
        assert len(found) == before + 1 + after
    else:
        assert found == [(("records", before), f"A record should have at most {MAX_RECORD_BYTES} bytes, not {size}")]


def test_a_body_may_have_so_many_records():
    most, more = (text([APPLE] * count) for count in (MAX_RECORDS, MAX_RECORDS + 1))
    assert len(reader(FRUIT).read(most)["weight"]) == MAX_RECORDS
    assert verdict(Batch[FRUIT], most) == by_pydantic(Batch[FRUIT], most)
    assert reader(FRUIT).read(more) is None
    assert verdict(Batch[FRUIT], more) == by_pydantic(Batch[FRUIT], more)


def odd_only(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("it is even")
    return value


class Checked(Record):
    """A rule that no JSON schema shows."""

    count: Annotated[int, AfterValidator(odd_only)]


class Guessed(Record):
    """A value that is made of another one."""

    counts: list[Annotated[int, BeforeValidator(abs)]] = Field(min_length=1, max_length=2)


class Compared(Record):
    """A rule about two fields."""

    low: float
    high: float

    @model_validator(mode="after")
    def is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@pytest.mark.parametrize(
    ("record", "good", "bad"),
    [
        (Checked, {"count": 3}, {"count": 2}),
        (Guessed, {"counts": [-3]}, {"counts": []}),
        (Compared, {"low": 1, "high": 2}, {"low": 2, "high": 1}),
    ],
)
def test_a_record_with_a_validator_of_its_own_is_left_to_pydantic(record, good, bad):
    assert reader(record).read(text([good])) is None
    (read,) = Batch[record].model_validate_json(text([good])).records
    assert read == record.model_validate(good)
    with pytest.raises(ValidationError):
        Batch[record].model_validate_json(text([bad]))


# Results


@pytest.mark.parametrize("name", CASES)
def test_the_results_are_written_as_their_model_would_write_them(models, name):
    """To the byte: no field is missing or in another place, and no number has another type or looks different."""
    case = CASES[name]
    described = Results[case.answer]

    @settings(derandomize=True, max_examples=50, deadline=None)
    @given(records(case))
    def same(rows):
        batch = Batch[case.record].model_validate_json(text(rows))
        results = models.answer(name, batch)
        assert len(results.results) == len(rows)
        body = results.body()
        again = described.model_validate_json(body)
        assert again.model_dump_json().encode() == again.body() == body
        assert results.model_dump() == again.model_dump()  # in Python as well

    same()


@pytest.mark.parametrize("name", CASES)
def test_the_service_describes_what_the_case_reads_and_answers(name):
    case, method = CASES[name], Slipway.apis[name]
    assert method.input_spec is Batch[case.record]
    assert method.output_spec is Results[case.answer]


@pytest.mark.parametrize("name", FAST)
def test_records_of_either_reader_get_the_same_answer(models, name):
    case = CASES[name]

    @settings(derandomize=True, max_examples=20, deadline=None)
    @given(records(case))
    def same(rows):
        fast = Batch[case.record].model_validate_json(text(rows))
        slow = Batch[case.record].model_validate_json(text(rows), strict=True)
        assert isinstance(fast.records, Rows)
        assert isinstance(slow.records, list)
        assert models.answer(name, fast).body() == models.answer(name, slow).body()

    same()


def test_a_response_is_json_with_the_request_s_id(served):
    answer = served.client.post("/v1/fruit", json={"records": [APPLE]}, headers={"X-Request-ID": "columns-1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-request-id"] == "columns-1"
    described = Results[CASES["fruit"].answer].model_validate_json(answer.content)
    assert described.body() == answer.content
