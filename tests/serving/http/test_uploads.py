"""A file that is uploaded becomes a record in JSON, or is refused with what to send instead."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from support.inprocess import client, front

from slipway.cases import CASES
from slipway.core.case import Case
from slipway.core.record import Record


class Text(Record):
    """What is known of a text."""

    letters: int


def count(content: bytes) -> Text:
    """A text in ASCII."""
    if not content.isascii():
        raise ValueError("this is not ASCII: send plain English")
    return Text(letters=len(content))


async def echo(scope, receive, send):
    """Answers with what it was sent, and how that was declared."""
    request = Request(scope, receive)
    kind, length = request.headers["content-type"], request.headers["content-length"]
    body = await request.body()
    told = {"type": kind, "is_length_right": int(length) == len(body), "body": body.decode()}
    await JSONResponse(told)(scope, receive, send)


@pytest.fixture
def post(monkeypatch):
    monkeypatch.setitem(
        CASES, "text", Case("text", Text, Text, "letters", Text, lambda *_: {}, {}, path="a-text", reads=count)
    )
    asked = client(front(app=echo))

    def ask(path="/v1/a-text", **options):
        return asked.post(path, **options)

    return ask


def form(*lines, boundary="edge"):
    """A body written by hand."""
    head = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return {"content": "\r\n".join(lines).encode(), "headers": head}


def test_a_file_becomes_one_record_in_json(post):
    answer = post(files={"file": ("any name", b"hello", "text/plain")})
    assert answer.json() == {
        "type": "application/json",
        "is_length_right": True,
        "body": '{"records": [{"letters":5}]}',
    }


def test_an_empty_file_is_a_file(post):
    assert post(files={"file": b""}).json()["body"] == '{"records": [{"letters":0}]}'


def test_another_path_is_left_alone(post):
    assert post("/v1/elsewhere", json={"records": []}).json()["body"] == '{"records":[]}'


def test_a_file_that_the_case_does_not_take_gets_its_words(post):
    answer = post(files={"file": "schön".encode()})
    assert (answer.status_code, answer.json()["error"]) == (400, "this is not ASCII: send plain English")


NO_FORMS = {
    "JSON": {"json": {"records": [{"letters": 5}]}},
    "the file itself": {"content": b"hello", "headers": {"Content-Type": "text/plain"}},
    "nothing said of its kind": {"content": b"hello"},
    "a form of words": {"data": {"file": "hello"}},
    "no boundary": {"content": b"--edge--", "headers": {"Content-Type": "multipart/form-data"}},
    "an empty boundary": {"content": b"----", "headers": {"Content-Type": "multipart/form-data; boundary="}},
    "compressed": {"files": {"file": b"hello"}, "headers": {"Content-Encoding": "gzip"}},
}


@pytest.mark.parametrize("options", NO_FORMS.values(), ids=NO_FORMS)
def test_what_is_no_form_gets_415(post, options):
    answer = post(**options)
    assert answer.status_code == 415
    assert "send" in answer.json()["error"] or "must be sent" in answer.json()["error"]


FILE = ('Content-Disposition: form-data; name="file"; filename="a"', "")
BAD_FORMS = {
    "two files": {"files": [("file", b"a"), ("file", b"b")]},
    "a file of another name": {"files": {"recording": b"hello"}},
    "a field beside the file": {"files": {"file": b"a"}, "data": {"note": "b"}},
    # BentoML would fetch what this names
    "an address for a file": form(
        "--edge", 'Content-Disposition: form-data; name="file"', "", "http://127.0.0.1/", "--edge--", ""
    ),
    "a charset that no form is written in": form(
        "--edge",
        'Content-Disposition: form-data; name="file"; filename="a"',
        "",
        "abc",
        "--edge--",
        "",
        boundary="edge; charset=undefined",
    ),
    "an empty form": form("--edge--", ""),
    "nothing": form(""),
    "another boundary": form("--ledge", *FILE, "hello", "--ledge--", ""),
    "no end": form("--edge", *FILE, "hello"),
    "no name": form("--edge", 'Content-Disposition: form-data; filename="a"', "", "hello", "--edge--", ""),
    "no headers": form("--edge", "", "hello", "--edge--", ""),
    "a header that is none": form("--edge", "what is this", *FILE, "hello", "--edge--", ""),
}


@pytest.mark.parametrize("options", BAD_FORMS.values(), ids=BAD_FORMS)
def test_a_form_with_anything_but_one_file_gets_400(post, options):
    answer = post(**options)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith("the form must have one file, named file, and nothing else")
