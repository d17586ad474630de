"""What stands in a head, and what is no HTTP at all: refused in the one shape, without harm to other requests."""

import contextlib
import time

import pytest
from support.wire import APIS, Wire, ask, check_error, get, head, post, question, weighing

from slipway.serving.http.limits import MAX_HEAD_BYTES, MAX_HEADERS

LARGE = {
    "70 KB in one header": ["X-Large: " + "a" * 70_000],
    "70 KB in seventy headers": [f"X-Large-{number}: {'a' * 1_000}" for number in range(70)],
    "5,000 headers": [f"X-{number}: a" for number in range(5_000)],
    "5,000 cookies": ["Cookie: a=b"] * 5_000,
    "one header more than are read": [f"X-{number}: a" for number in range(MAX_HEADERS - 2)],
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("headers", LARGE.values(), ids=LARGE)
def test_too_large_a_head_gets_431(served, api, headers):
    check_error(served, ask(served, question(api, *headers)), 431, api)


@pytest.mark.parametrize("headers", LARGE.values(), ids=LARGE)
def test_a_probe_with_too_large_a_head_gets_431(served, headers):
    assert ask(served, get("/livez", *headers, *["X-Another: a"] * 2)).status == 431


@pytest.mark.parametrize("api", APIS)
def test_a_head_within_the_limits_is_read(served, api):
    many = [f"X-{number}: a" for number in range(MAX_HEADERS - 4)]
    assert ask(served, question(api, *many)).status == 200
    assert ask(served, question(api, "X-Large: " + "a" * (MAX_HEAD_BYTES - 1_000))).status == 200


ENDLESS = {
    "a request line": (b"GET /", b"a" * 65_536),
    "a method": (b"", b"A" * 65_536),
    "a header": (b"GET / HTTP/1.1\r\nX-Large: ", b"a" * 65_536),
    "a header name": (b"GET / HTTP/1.1\r\n", b"a" * 65_536),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-Large: a\r\n" * 5_000),
    "empty lines": (b"", b"\r\n" * 32_768),
    "zeros": (b"", b"\0" * 65_536),
    "the extension of a chunk": (head("/v1/fruit", "Transfer-Encoding: chunked") + b"2;", b"a" * 65_536),
    "a trailer": (head("/v1/fruit", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Large: ", b"a" * 65_536),
    "trailers": (head("/v1/fruit", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X-Large: a\r\n" * 5_000),
    "trailers of the v2 API": (
        head(APIS["v2"][0], "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n",
        b"X-Large: a\r\n" * 5_000,
    ),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_refused_and_takes_no_memory(served, begin, more):
    started = time.monotonic()
    with weighing(served) as grown, Wire(served) as wire:
        sent = 0
        with contextlib.suppress(ConnectionError):
            wire.send(begin)
            while sent < 500e6:  # more than fits anywhere: the server reads it, or has closed the connection
                wire.send(more)
                sent += len(more)
        answer = wire.answer()
    # once the path is known, the v2 API has a shape of its own
    api = "v2" if APIS["v2"][0].encode() in begin else "v1"
    check_error(served, answer, 431 if answer.status == 431 else 400, api)
    assert answer.headers["connection"] == "close"
    assert time.monotonic() - started < 8
    assert grown() < 30e6


NO_HTTP = {
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\0" * 100,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "all bytes": bytes(range(256)) * 16,
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00",
    "HTTP/3.0": b"GET /livez HTTP/3.0\r\n\r\n",
    "an unknown method": b"BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in small letters": b"get /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path without a slash": b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "a proxy's CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a URL with an impossible port": b"GET http://a:99999999/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a URL without a path": b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header without a colon": b"GET /livez HTTP/1.1\r\nHost\r\n\r\n",
    "a blank before a colon": b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header over two lines": b"GET /livez HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "a NUL in a header": b"GET /livez HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "line feeds alone": b"GET /livez HTTP/1.1\rHost: a\r\r",
    "a length that is no number": head("/v1/fruit", "Content-Length: x"),
    "a length below zero": head("/v1/fruit", "Content-Length: -5"),
    "a length with a sign": head("/v1/fruit", "Content-Length: +5") + b"12345",
    "a length beyond 64 bits": head("/v1/fruit", "Content-Length: 18446744073709551621"),
    "two lengths": head("/v1/fruit", "Content-Length: 5", "Content-Length: 6") + b"12345",
    "a length and chunks": head("/v1/fruit", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "an unknown transfer encoding": head("/v1/fruit", "Transfer-Encoding: bogus") + b"12345",
    "chunks that are not the last encoding": head("/v1/fruit", "Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "a chunk whose size is no number": head("/v1/fruit", "Transfer-Encoding: chunked") + b"zz\r\n",
    "a chunk whose size is beyond 64 bits": head("/v1/fruit", "Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n",
    "a chunk larger than its size": head("/v1/fruit", "Transfer-Encoding: chunked") + b"1\r\nabc\r\n",
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_gets_400(served, data):
    answer = ask(served, data)
    check_error(served, answer, 400)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_leaves_the_requests_before_it_their_answers(served, data):
    with Wire(served) as wire:
        wire.send(question("v1") + question("v2") + data)
        first, second = wire.answer(), wire.answer()
        assert [first.status, second.status] == [200, 200]
        assert "results" in first.json()
        assert "outputs" in second.json()


def test_what_is_no_http_closes_its_connection(served):
    with contextlib.ExitStack() as stack:
        wires = []
        for data in NO_HTTP.values():
            for before in (b"", question("v1") + question("v2")):
                wires.append(stack.enter_context(Wire(served)))
                wires[-1].send(before + data)
        assert all(wire.is_closed(3) for wire in wires)


def test_what_is_no_http_after_an_answer_gets_400(served):
    with Wire(served) as wire:
        assert wire.ask(question("v1")).status == 200
        check_error(served, wire.ask(NO_HTTP["TLS"]), 400)


def test_requests_in_a_row_are_answered_in_their_order(served):
    with Wire(served) as wire:
        wire.send(b"".join(question(api, f"X-Request-ID: {number}-{api}") for number in range(50) for api in APIS))
        for number in range(50):
            for api in APIS:
                answer = wire.answer()
                assert answer.status == 200
                assert answer.headers["x-request-id"] == f"{number}-{api}"


def test_a_refusal_among_requests_in_a_row_is_only_its_own(served):
    refused = {
        400: post("/v1/fruit", b"{"),
        404: get("/nothing"),
        405: get("/v2/models/fruit/infer"),
        413: post("/v1/fruit", b"x" * 2_000_000),
        415: question("v2", "Content-Type: text/plain"),
        431: question("v1", *LARGE["5,000 headers"]),
    }
    with Wire(served) as wire:
        for status, data in refused.items():
            wire.send(question("v1") + data + question("v2"))
            assert [wire.answer().status for _ in range(3)] == [200, status, 200]


def test_a_head_that_arrives_byte_by_byte_is_read(served):
    with Wire(served) as wire:
        for byte in question("v1"):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


@pytest.mark.parametrize("api", APIS)
def test_a_body_in_chunks_is_read_and_its_trailers_are_not(served, api):
    path, body = APIS[api]
    said = body({"weight": 152, "length": 71, "width": 73, "colour": "red"})
    chunks = b"".join(b"1;name=value\r\n%c\r\n" % byte for byte in said)
    trailers = b"Content-Type: text/plain\r\nX-Request-ID: trailer\r\n\r\n"
    answer = ask(served, head(path, "Transfer-Encoding: chunked") + chunks + b"0\r\n" + trailers)
    assert answer.status == 200
    assert answer.headers["x-request-id"] != "trailer"


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.0"])
def test_no_other_protocol_is_spoken(served, protocol):
    """A client that offers one is answered over HTTP, as if it had not, and so is its next request."""
    websocket = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    upgrade = ["Connection: Upgrade", f"Upgrade: {protocol}", *websocket]
    with Wire(served) as wire:
        assert wire.ask(get("/livez", *upgrade)).status == 200
        check_error(served, wire.ask(get("/v1/fruit", *upgrade)), 405)
        check_error(served, wire.ask(get(APIS["v2"][0], *upgrade)), 405, "v2")
        assert wire.ask(get("/livez")).status == 200
    for line in ("Unsupported upgrade", "No supported WebSocket library"):
        assert line not in served.log.read_text()


@pytest.mark.parametrize("api", APIS)
def test_who_asks_before_sending_a_body_is_told_to_go_on_or_is_refused(served, api):
    path, _ = APIS[api]
    asked, _, body = question(api, "Expect: 100-continue").partition(b"\r\n\r\n")
    with Wire(served) as wire:
        wire.send(asked + b"\r\n\r\n")
        assert wire.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert wire.file.readline() == b"\r\n"
        assert wire.ask(body).status == 200
    check_error(served, ask(served, head(path, "Content-Length: 100000000", "Expect: 100-continue")), 413, api)


NOWHERE = ["/nothing", "//", "/v1/fruit%00", "/v1/fruit%ff", "/v1/../v1/fruit", "//v1/fruit", "/V1/FRUIT", "*", "/v1"]
NOWHERE += ["/static_content/../../../../etc/passwd", "/static_content/..%2f..%2f..%2f..%2f..%2fetc/passwd"]


@pytest.mark.parametrize("path", NOWHERE)
def test_there_is_nothing_elsewhere(served, path):
    check_error(served, ask(served, get(path)), 404)


@pytest.mark.parametrize(
    "path", ["/v2/nothing", "/v2/models/nothing", "/v2/models/..%2f..%2fetc", "/v2/models/fruit%00/infer"]
)
def test_there_is_nothing_elsewhere_at_the_v2_api(served, path):
    check_error(served, ask(served, get(path)), 404, "v2")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_gets_405(served, api, method):
    check_error(served, ask(served, head(APIS[api][0], method=method)), 405, api)


@pytest.mark.parametrize("offered", ["", "a b", "a" * 129, "é", "a;b", "<script>", "../../x", "a\tb"])
@pytest.mark.parametrize("api", APIS)
def test_a_request_id_that_is_none_is_replaced(served, api, offered):
    answer = ask(served, post(APIS[api][0], b"{", f"X-Request-ID: {offered}"))
    check_error(served, answer, 400, api)
    assert answer.headers["x-request-id"] != offered


@pytest.mark.parametrize("api", APIS)
def test_a_client_s_own_request_id_is_kept(served, api):
    answer = ask(served, post(APIS[api][0], b"{", f"X-Request-ID: of-the-{api}-client:1.2"))
    check_error(served, answer, 400, api)
    assert answer.headers["x-request-id"] == f"of-the-{api}-client:1.2"


def test_the_service_is_as_before(served):
    for api in APIS:
        assert ask(served, question(api)).status == 200
    assert "Traceback" not in served.log.read_text()
