"""The bytes of HTTP, sent and read as they are: what no well-behaved client would send has to arrive too."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import psutil

from slipway.cases import CASES
from slipway.core.record import example

HOUSE, APPLE = example(CASES["house_price"].record), example(CASES["fruit"].record)
DATATYPES = {float: "FP64", int: "INT64"}
BLOCKED = 0.1  # seconds, that the event loop may stand still for any one request
# Other programs on the machine make the loop wait, too: the least of so many tries is what the service is to blame for.
TRIES = 6


def records(*each: dict[str, Any]) -> bytes:
    """A body of the v1 API."""
    return json.dumps({"records": each}).encode()


def tensors(*each: dict[str, Any]) -> bytes:
    """The same records as a body of the v2 API."""
    inputs = [
        {
            "name": name,
            "shape": [len(each), 1],
            "datatype": datatype(name),
            "data": [record[name] for record in each],
        }
        for name in each[0]
    ]
    return json.dumps({"inputs": inputs}).encode()


def datatype(feature: str) -> str:
    fields = CASES["house_price"].record.model_fields | CASES["fruit"].record.model_fields
    return DATATYPES.get(fields[feature].annotation, "BYTES")


# for each api: where a fruit is asked about, and the body that does it
APIS = {"v1": ("/v1/fruit", records), "v2": ("/v2/models/fruit/infer", tensors)}


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    """A request line and headers; the body is JSON, unless they say otherwise."""
    kind = (
        [] if any(line.lower().startswith("content-type:") for line in headers) else ["Content-Type: application/json"]
    )
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: slipway", *kind, *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A whole request with a body."""
    return head(path, f"Content-Length: {len(body)}", *headers) + body


def get(path: str, *headers: str) -> bytes:
    """A whole request without one."""
    return head(path, *headers, method="GET")


def question(api: str, *headers: str, times: int = 1) -> bytes:
    """A valid request about some apples."""
    path, body = APIS[api]
    return post(path, body(*[APPLE] * times), *headers)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a server."""

    def __init__(self, server: Any, *, timeout: float = 30, receive_buffer: int | None = None) -> None:
        """receive_buffer: bytes that the system takes for a client which does not read"""
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", server.client.base_url.port))
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer. Raises ConnectionError if the connection ends before it is complete."""
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError(f"closed without an answer: {line!r}")
        headers = {}
        while (field := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        status = int(line.split()[1])
        length = int(headers.get("content-length", "0"))
        body = self.file.read(length)
        if len(body) != length:
            raise ConnectionError("closed within an answer")
        return Answer(status, headers, body) if status != 100 else self.answer()

    def ask(self, data: bytes) -> Answer:
        """Send a request, and read its answer."""
        self.send(data)
        return self.answer()

    def is_closed(self, seconds: float) -> bool:
        """Whether the server closes the connection within some seconds. What it sends before that is thrown away."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


def ask(server: Any, data: bytes) -> Answer:
    """The answer to one request on a connection of its own."""
    with Wire(server) as wire:
        return wire.ask(data)


def log_lines(server: Any, request_id: str) -> list[str]:
    """The lines of the log with a request's id, once there are any."""
    deadline = time.monotonic() + 2
    while True:
        lines = [line for line in server.log.read_text().splitlines() if request_id in line]
        if lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.01)


def check_error(server: Any, answer: Answer, status: int, api: str = "v1") -> None:
    """An answer is an error of a status in the one shape, with a request id that the log has, once."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert isinstance(said["error"], str)
    assert said["error"]
    request_id = answer.headers["x-request-id"]
    if api == "v1" or "request_id" in said:  # before the path is known, there is but one shape
        assert set(said) == {"error", "detail", "request_id"}
        assert said["request_id"] == request_id
    else:
        assert set(said) == {"error"}
    assert len(answer.body) < 4096
    assert len(log_lines(server, request_id)) == 1


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that nobody has asked yet how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def memory(server: Any) -> int:
    """Bytes of memory that the server's processes hold."""
    total = 0
    for process in [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


@contextmanager
def repeating(work: Callable[[], None]) -> Iterator[None]:
    """Does some work again and again in a thread of its own, from before the body begins until it has ended."""
    begun, done, failures = threading.Event(), threading.Event(), []

    def repeat() -> None:
        try:
            while not done.is_set():
                work()
                begun.set()
        except BaseException as error:
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=repeat)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def watching(server: Any) -> Iterator[Callable[[], float]]:
    """Asks `/livez` all the time, on a connection of its own; gives the longest time so far that an answer took.

    It waits for nothing but its turn in the event loop: as long as that is blocked, so long it waits.
    """
    longest = 0.0
    with Wire(server) as wire:

        def look() -> None:
            nonlocal longest
            asked = time.perf_counter()
            assert wire.ask(get("/livez")).status == 200
            longest = max(longest, time.perf_counter() - asked)
            time.sleep(0.001)

        with repeating(look):
            yield lambda: longest


@contextmanager
def weighing(server: Any) -> Iterator[Callable[[], int]]:
    """Weighs the server all the time; gives by how many bytes it has grown at most, so far."""
    most = before = memory(server)

    def weigh() -> None:
        nonlocal most
        most = max(most, memory(server))
        time.sleep(0.01)

    with repeating(weigh):
        yield lambda: most - before


def least_block(server, data):
    """The answer to a request, and for how many seconds at most it blocked the event loop."""
    least = float("inf")
    for _ in range(TRIES):
        with watching(server) as longest, Wire(server) as wire:
            answer = wire.ask(data)
        least = min(least, longest())
        if least < BLOCKED:
            break
    return answer, least
