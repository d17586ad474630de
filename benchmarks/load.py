"""The load: clients that each send a request, wait for its answer, and send the next (a closed loop).

Requests are bytes made beforehand, connections stay open, and httptools reads the answers: on the cores that it shares
with a server, the load must cost little. It runs in a process of its own.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

JSON = {"Content-Type": "application/json"}
WARM_SECONDS = 0.25
# For an answer. On a busy machine a turn of uvicorn's event loop takes seconds, and a large body takes several turns.
PATIENCE_SECONDS = 60.0


@dataclass
class Slice:
    """What one slice of load saw.

    seconds: how long it was measured, once it was warm
    latencies: in seconds, of the requests that were answered with 200 in that time
    errors: other answers, connections that failed and answers that did not come in time, in all of the slice
    asked: requests in all of the slice, those before and after the measured time among them
    cpu_seconds: what the load itself used in all of the slice
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    asked: int = 0
    cpu_seconds: float = 0.0


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time."""

    transport: asyncio.Transport
    answer: asyncio.Future[int]

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; the status of its answer, once all of that is here."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if not self.parser.should_keep_alive():
            self.transport.close()
        self.answer.set_result(self.parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionResetError(f"closed without an answer: {error}"))


class Load:
    """The clients of one slice, and what they see together."""

    def __init__(self, port: int, requests: Sequence[bytes], clients: int) -> None:
        self.port = port
        self.requests = requests
        self.clients = clients
        self.seen = Slice()

    async def run(self, seconds: float) -> Slice:
        """Load until every client was answered or gave up, measure for some seconds, and wait for the last answers.

        What is measured has at least one of them in it, however slow the server is.
        """
        self.unanswered = self.clients
        self.is_measured = self.is_over = False
        self.is_warm, self.has_answer = asyncio.Event(), asyncio.Event()
        before = time.process_time()
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self.client(number))
            await self.is_warm.wait()
            await asyncio.sleep(WARM_SECONDS)
            self.is_measured, began = True, time.perf_counter()
            await asyncio.sleep(seconds)
            await self.has_answer.wait()
            self.is_measured, self.is_over = False, True
            self.seen.seconds = time.perf_counter() - began
        self.seen.cpu_seconds = time.process_time() - before
        return self.seen

    async def client(self, number: int) -> None:
        """One client. It takes the requests in turn, and begins at the one of its number."""
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        is_new = True
        while not self.is_over:
            request = self.requests[number % len(self.requests)]
            number += 1
            self.seen.asked += 1
            began = time.perf_counter()
            try:
                if connection is None or connection.transport.is_closing():
                    _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    status = await connection.ask(request)
            except OSError:  # TimeoutError is one
                if connection is not None:
                    connection.transport.abort()
                status, connection = 0, None
            if status != 200:
                self.seen.errors += 1
            if self.is_measured:
                if status == 200:
                    self.seen.latencies.append(time.perf_counter() - began)
                self.has_answer.set()
            if is_new:
                is_new = False
                self.unanswered -= 1
                if not self.unanswered:
                    self.is_warm.set()
        if connection is not None:
            connection.transport.close()


def post(path: str, body: bytes, headers: Mapping[str, str] = JSON) -> bytes:
    """The bytes of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "\r\n"]).encode() + body


def measure(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Slice:
    """One slice of load."""
    return uvloop.run(Load(port, requests, clients).run(seconds))
