"""What the service answers itself, by path and method."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from slipway.serving.http.errors import Refusal
from slipway.serving.http.request import Request
from slipway.serving.http.routes import Route


async def handler(request, body):
    return PlainTextResponse(f"{request.method} {body.decode()}")


def ask(route, method):
    request = Request({"type": "http", "method": method, "path": "/", "headers": []})
    return asyncio.run(route.answer(request, b"body")).body


def test_a_method_of_the_route_is_answered_by_its_handler():
    assert ask(Route(handler), "GET") == b"GET body"
    assert ask(Route(handler, methods=("POST",)), "POST") == b"POST body"


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "get"])
def test_another_one_gets_405_that_names_those_that_are(method):
    with pytest.raises(Refusal) as caught:
        ask(Route(handler), method)
    assert (caught.value.status, caught.value.headers) == (405, {"Allow": "GET, HEAD"})
