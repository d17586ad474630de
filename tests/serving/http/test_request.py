"""The head of a request, as everything that asks about it reads it."""

import pytest

from slipway.serving.http.request import HEALTH, Request, request_id


def request(*headers, path="/", method="GET"):
    return Request({"type": "http", "method": method, "path": path, "headers": list(headers)})


def test_of_a_header_that_stands_twice_the_first_counts_and_both_are_there():
    twice = request((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert (twice.header(b"a"), twice.header(b"b"), twice.header(b"c")) == ("1", "2", None)
    assert (twice.values(b"a"), twice.values(b"c")) == (["1", "3"], [])


def test_a_header_is_read_whatever_its_bytes():
    assert request((b"a", bytes(range(128, 256)))).header(b"a") == bytes(range(128, 256)).decode("latin-1")


@pytest.mark.parametrize("offered", [None, b"", b"a b", b"x" * 129, b'"', "é".encode(), b"a\n[ERROR] b"])
def test_an_id_unfit_for_a_log_is_replaced(offered):
    made = request_id(offered)
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert request_id(offered) != made


def test_a_fit_id_is_kept():
    assert request_id(b"order-7:a.b_c") == "order-7:a.b_c"


def test_health_and_the_v2_api_are_known_by_their_paths():
    assert all(request(path=path).is_of_health for path in HEALTH)
    assert not request(path="/livez/").is_of_health
    assert [request(path=path).is_of_v2 for path in ("/v2", "/v2/", "/v2/models/a", "/v2x", "/v1/v2")] == [
        *(True, True, True),
        *(False, False),
    ]
