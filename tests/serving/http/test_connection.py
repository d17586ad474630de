"""A connection: what is no request gets an answer, and every answer is read by the client that it is for."""

import asyncio
from types import SimpleNamespace

import pytest
import uvicorn
from support.inprocess import front
from support.nginx import nginx
from support.server import bentoml_serve
from support.wire import HOUSE, Wire, check_error, get, head, log_lines, post, question, records
from uvicorn.server import ServerState

from slipway.serving.http.connection import BENTOML_KEEP_ALIVE, FRONT, Connection
from slipway.serving.http.limits import KEEP_ALIVE_TIMEOUT, MAX_BODY_BYTES, MAX_HEAD_BYTES, RECEIVE_TIMEOUT

TOKEN = "secret"


class Socket(asyncio.Transport):
    """A transport that keeps what was written, and knows whether it was closed."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    abort = close

    def pause_reading(self):
        pass

    resume_reading = pause_reading

    def statuses(self):
        return [int(part.split()[0]) for part in self.written.split(b"HTTP/1.1 ")[1:]]


async def talk(*parts, app=None, keep_alive=BENTOML_KEEP_ALIVE):
    """A connection to which some parts were sent, one after the other, and its transport."""
    config = uvicorn.Config(None, http=Connection, timeout_keep_alive=keep_alive, log_config=None, lifespan="off")
    config.loaded_app = None
    loop = asyncio.get_running_loop()
    stack = front(app=app)
    connection = Connection(config=config, server_state=ServerState(), app_state={FRONT: stack}, _loop=loop)
    transport = Socket()
    connection.connection_made(transport)
    for part in parts:
        connection.data_received(part)
        await asyncio.sleep(0.02)
    connection.timer.cancel()
    return SimpleNamespace(connection=connection, transport=transport, front=stack)


def refused(stack):
    """How many requests of no endpoint were counted, by status."""
    stack.telemetry.flush()
    lines = stack.telemetry.text().decode().splitlines()
    start = 'bentoml_service_request_total{endpoint="other",http_response_code="'
    return {int(line[len(start) :][:3]): float(line.split()[-1]) for line in lines if line.startswith(start)}


NO_REQUESTS = {
    "no HTTP": (b"GET / HTTP/3.0\r\n\r\n", 400),
    "a head that does not end": (b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES, 431),
}


@pytest.mark.parametrize(("data", "status"), NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_refused_before_there_is_a_request_is_counted(data, status):
    talked = asyncio.run(talk(data))
    assert talked.transport.statuses() == [status]
    assert refused(talked.front) == {status: 1}


def test_the_id_of_a_head_that_is_refused_is_its_client_s_own():
    data = b"GET / HTTP/1.1\r\nX-Request-ID: order-7\r\nX: " + b"a" * MAX_HEAD_BYTES
    assert b"X-Request-ID: order-7\r\n" in asyncio.run(talk(data)).transport.written


def test_an_answer_before_the_end_of_the_body_leaves_the_connection_open_until_that_has_come():
    begin = head("/v1/fruit", f"Content-Length: {MAX_BODY_BYTES + 1}", "Connection: close") + b"x" * 100
    talked = asyncio.run(talk(begin))
    assert talked.transport.statuses() == [413]
    assert not talked.transport.is_closed
    talked = asyncio.run(talk(begin, b"x" * (MAX_BODY_BYTES + 1 - 100)))
    assert talked.transport.statuses() == [413]
    assert talked.transport.is_closed


def test_a_complete_request_closes_it_at_once_if_its_client_asks_for_that():
    talked = asyncio.run(talk(get("/elsewhere", "Connection: close")))
    assert talked.transport.statuses() == [200]
    assert talked.transport.is_closed


def test_after_an_answer_that_closes_it_no_further_one_is_given():
    two = get("/elsewhere", "Connection: close") + get("/elsewhere")
    assert asyncio.run(talk(two)).transport.statuses() == [200]


@pytest.mark.parametrize(("asked", "seconds"), [(BENTOML_KEEP_ALIVE, KEEP_ALIVE_TIMEOUT), (2, 2), (300, 300)])
def test_it_is_kept_for_longer_than_load_balancers_do_unless_another_time_is_asked_for(asked, seconds):
    assert asyncio.run(talk(keep_alive=asked)).connection.timeout_keep_alive == seconds


# The real bytes


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The service with tokens."""
    with bentoml_serve(tmp_path_factory.mktemp("guarded") / "log", SLIPWAY_TOKENS=TOKEN) as server:
        yield server


ALLOWED = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}
EARLY = {
    "no token, a legal body": (401, JSON, 900_000),
    "no token": (401, JSON, 3_000_000),
    "a body too large": (413, ALLOWED | JSON, 3_000_000),
    "another kind of body": (415, ALLOWED | {"Content-Type": "text/plain"}, 900_000),
    "a body far too large": (413, ALLOWED | JSON, 20_000_000),
}


@pytest.mark.parametrize(("status", "headers", "size"), EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("path", ["/v1/fruit", "/v2/models/fruit/infer"])
def test_a_client_reads_a_refusal_that_comes_before_it_has_sent_its_body(guarded, path, status, headers, size):
    """Each on a connection of its own, which is closed: a client sees the reset of its connection as an error."""
    for _ in range(5):
        lines = [f"{name}: {value}" for name, value in headers.items()]
        with Wire(guarded) as wire:
            assert wire.ask(post(path, bytes(size), *lines, "Connection: close")).status == status
            assert wire.is_closed(2)


def test_a_body_in_chunks_that_is_too_large_is_refused_so_that_its_client_reads_it(guarded):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with Wire(guarded) as wire:
        begin = head("/v1/fruit", "Transfer-Encoding: chunked", f"Authorization: Bearer {TOKEN}", "Connection: close")
        assert wire.ask(begin + chunk * 100 + b"0\r\n\r\n").status == 413


PROXIED = "location / { proxy_pass http://slipway; }"


@pytest.mark.parametrize(("status", "headers", "size"), EARLY.values(), ids=EARLY)
def test_so_does_a_proxy_that_closes_each_connection(guarded, tmp_path, status, headers, size):
    """nginx as it comes: HTTP/1.0 and `Connection: close` to the service. A reset would become a 502."""
    with nginx(tmp_path / "nginx", guarded.client.base_url.port, PROXIED) as client:
        seen = {client.post("/v1/fruit", content=bytes(size), headers=headers).status_code for _ in range(20)}
    assert seen == {status}


def test_a_body_that_comes_too_late_is_one_line_with_the_client_s_id_and_the_cause(served):
    with Wire(served) as wire:
        wire.send(question("v1", "X-Request-ID: late-7")[:-5])
        answer = wire.answer()
        assert wire.is_closed(3)
    check_error(served, answer, 408)
    assert answer.headers["x-request-id"] == "late-7"
    (line,) = log_lines(served, "late-7")
    assert f"not complete within {RECEIVE_TIMEOUT:g} seconds" in line
    metrics = served.client.get("/metrics").text
    assert 'endpoint="/v1/fruit",http_response_code="408"' in metrics


def test_a_request_that_is_refused_by_its_head_and_then_left_ends_its_connection(served):
    """A client that asks whether to go on is told no, and says nothing more."""
    with Wire(served) as wire:
        wire.send(head("/v1/fruit", f"Content-Length: {MAX_BODY_BYTES + 1}", "Expect: 100-continue"))
        assert wire.answer().status == 413
        assert wire.is_closed(RECEIVE_TIMEOUT + 3)


# Behind a prefix

PREFIXED = """
location /models/ { proxy_pass http://slipway/; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https; }
"""


def test_behind_a_path_prefix_everything_is_found_and_nothing_redirects(served, tmp_path):
    body = records(HOUSE)
    with nginx(tmp_path / "nginx", served.client.base_url.port, PREFIXED) as client:
        answer = client.post("/models/v1/house-price", content=body, headers=JSON)
        assert answer.status_code == 200
        page = client.get("/models/")
        base = page.url
        assert client.get(base.join("docs.json")).json()["servers"] == [{"url": "."}]
        assert client.get(base.join("static_content/swagger-ui.css")).status_code == 200
        for path in ("v1/house-price/", "livez/", "v2/health/ready/", "metrics/", "docs.json/", "static_content"):
            answer = client.get(f"/models/{path}")
            assert answer.status_code in (404, 405), path
            assert "location" not in answer.headers
        assert "/v1/house-price, without the slash" in client.post("/models/v1/house-price/", content=body).text


@pytest.mark.parametrize("path", ["/", "/docs.json", "/metrics", "/v2", "/livez"])
def test_head_is_as_get_without_the_body(served, path):
    get, head = served.client.get(path), served.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == str(len(get.content))
