"""Which kinds of body are read."""

import pytest

from slipway.serving.http.errors import Refusal
from slipway.serving.http.media import check_json
from slipway.serving.http.request import Request


def declared(kind=None, encoding=None):
    headers = [(b"content-type", kind), (b"content-encoding", encoding)]
    headers = [(name, value.encode()) for name, value in headers if value is not None]
    return Request({"type": "http", "method": "POST", "path": "/v1/fruit", "headers": headers})


@pytest.mark.parametrize("kind", [None, "application/json", "Application/JSON; charset=utf-8"])
@pytest.mark.parametrize("encoding", [None, "identity", " Identity "])
def test_json_as_it_is_is_read(kind, encoding):
    check_json(declared(kind, encoding))


@pytest.mark.parametrize(
    ("kind", "encoding", "said"),
    [
        ("text/plain", None, "not text/plain"),
        ("application/vnd.bentoml+pickle", None, "must be JSON"),
        ("application/jsonp", None, "must be JSON"),
        ("", None, "must be JSON"),
        ("application/json", "gzip", "Content-Encoding: gzip"),
        (None, "br", "Content-Encoding: br"),
    ],
)
def test_anything_else_gets_415_that_says_what_to_send(kind, encoding, said):
    with pytest.raises(Refusal, match=said) as caught:
        check_json(declared(kind, encoding))
    assert caught.value.status == 415
