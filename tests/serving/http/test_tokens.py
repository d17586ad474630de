"""Who may ask."""

import pytest

from slipway.serving.http.errors import Refusal
from slipway.serving.http.request import Request
from slipway.serving.http.tokens import Tokens

KNOWN = Tokens([b"secret"])


def asked(authorization):
    headers = [] if authorization is None else [(b"authorization", authorization)]
    return Request({"type": "http", "method": "POST", "path": "/v1/fruit", "headers": headers})


@pytest.mark.parametrize("header", [b"Bearer secret", b"bearer secret", b"Bearer  secret "])
def test_who_bears_a_token_may_ask(header):
    KNOWN.check(asked(header))


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"secret",
        b"Bearer",
        b"Bearer ",
        b"Bearer secre",
        b"Bearer secrets",
        b"Basic secret",
        b"Bearer a,secret",
    ],
)
def test_who_does_not_is_told_how(header):
    with pytest.raises(Refusal, match="Authorization: Bearer TOKEN") as caught:
        KNOWN.check(asked(header))
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_where_there_are_no_tokens_anyone_may_ask():
    Tokens([]).check(asked(None))
