"""`SLIPWAY_TOKENS`: with it, nothing but health is told to who has none of the tokens."""

import pytest
from support.server import bentoml_serve
from support.wire import APIS, Wire, ask, check_error, get, head, post, question

FIRST, SECOND = "pier-7f3a9c", "quay-51be02"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that asks for a token."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    with bentoml_serve(log, SLIPWAY_TOKENS=f" {FIRST} ,, {SECOND}") as server:
        yield server


def bearer(token):
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("token", [FIRST, SECOND])
@pytest.mark.parametrize("api", APIS)
def test_who_has_a_token_is_answered(guarded, api, token):
    assert ask(guarded, question(api, bearer(token))).status == 200
    assert ask(guarded, question(api, f"authorization: bearer   {token} ")).status == 200


NO_TOKEN = {
    "nothing": [],
    "an empty header": ["Authorization:"],
    "no token": ["Authorization: Bearer"],
    "an empty token": ["Authorization: Bearer "],
    "a near miss": [bearer(FIRST[:-1] + "d")],
    "the beginning": [bearer(FIRST[:-1])],
    "a character more": [bearer(FIRST + "c")],
    "in capitals": [bearer(FIRST.upper())],
    "both": [bearer(f"{FIRST},{SECOND}")],
    "the variable as it is written": [bearer(f" {FIRST} ,, {SECOND}")],
    "another scheme": [f"Authorization: Basic {FIRST}"],
    "no scheme": [f"Authorization: {FIRST}"],
    "no ASCII": ["Authorization: Bearer \xe9\xff"],
    "a long one": [bearer("a" * 30_000)],
    "another header": [f"X-Authorization: Bearer {FIRST}", f"Cookie: token={FIRST}"],
    "a false one before the true one": [bearer("x"), bearer(FIRST)],
}


@pytest.mark.parametrize("headers", NO_TOKEN.values(), ids=NO_TOKEN)
@pytest.mark.parametrize("api", APIS)
def test_who_has_none_gets_401(guarded, api, headers):
    answer = ask(guarded, question(api, *headers))
    check_error(guarded, answer, 401, api)
    assert answer.headers["www-authenticate"].startswith("Bearer")


PAGES = ["/", "/docs.json", "/schema.json", "/metrics", "/v2", "/v2/", "/v2/models/fruit", "/v2/models/fruit/ready"]
PAGES += ["/v2/models/house_price/versions/1", "/static_content/swagger-ui.css", "/nothing", "/v2/nothing", "//livez"]
PAGES += ["/livez/", "/livez/../metrics", "/livez%2f..%2fmetrics", "/LIVEZ", "/metrics?/livez", "/metrics%23/livez"]
PAGES += ["/v2/health/ready/", "/v2/health/ready/../../models/fruit", "/v2/health", "*", "//"]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_told_to_who_has_none(guarded, path):
    assert ask(guarded, get(path)).status == 401
    assert ask(guarded, get(path, bearer(SECOND))).status != 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_no_method_is_open(guarded, method):
    with Wire(guarded) as wire:
        wire.send(head("/metrics", method=method))
        assert wire.file.readline().split()[1] == b"401"


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready", "/livez?full"]
)
def test_health_is_told_to_everyone(guarded, path):
    assert ask(guarded, get(path)).status == 200
    assert ask(guarded, get(path, bearer("wrong"))).status == 200


def test_nothing_is_read_of_who_has_none(guarded):
    """Neither is a large body waited for, nor is it said what is wrong with a request."""
    check_error(guarded, ask(guarded, head("/v1/fruit", "Content-Length: 100000000")), 401)
    check_error(guarded, ask(guarded, head("/v1/fruit", "Content-Length: 1000")), 401)
    check_error(guarded, ask(guarded, post("/v1/fruit", b"{", "Content-Type: text/plain")), 401)


def test_each_request_of_a_connection_needs_its_token(guarded):
    with Wire(guarded) as wire:
        wire.send(question("v1", bearer(FIRST)) + question("v2") + question("v2", bearer(SECOND)))
        assert [wire.answer().status for _ in range(3)] == [200, 401, 200]


def test_a_token_in_a_trailer_is_none(guarded):
    path, _ = APIS["v1"]
    trailer = f"0\r\n{bearer(FIRST)}\r\n\r\n".encode()
    check_error(guarded, ask(guarded, head(path, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n" + trailer), 401)


def test_no_token_is_in_the_log(guarded):
    ask(guarded, post("/v1/fruit", b"{", bearer(FIRST)))
    log = guarded.log.read_text()
    assert "401" in log
    assert FIRST not in log
    assert SECOND not in log
    assert "Traceback" not in log
