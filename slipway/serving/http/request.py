"""The head of a request, read once for everything that asks about it."""

import random
import re

from starlette.types import Message, Receive, Scope

HEALTH = {"/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready"}
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def request_id(offered: bytes | None) -> str:
    """The id that a client offers, if it is fit for a log; else a new one, which is no secret: 32 hex digits."""
    if offered is not None and REQUEST_ID.fullmatch(found := offered.decode("latin-1")):
        return found
    return f"{random.getrandbits(128):032x}"


class Request:
    """A request as it arrived: its id, and the headers by name. Of a header that stands twice the first one counts.

    Starlette's class of this name takes ten times as long to read a header.
    """

    __slots__ = ("_all", "_headers", "id", "method", "path")

    def __init__(self, scope: Scope) -> None:
        self._all: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = dict(reversed(self._all))
        self.id = request_id(self._headers.get(b"x-request-id"))
        self.method: str = scope["method"]
        self.path: str = scope["path"]

    def header(self, name: bytes) -> str | None:
        """The header of a name, which is in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def values(self, name: bytes) -> list[str]:
        """All headers of a name, which is in lower case."""
        if name not in self._headers:
            return []
        return [value.decode("latin-1") for key, value in self._all if key == name]

    @property
    def is_of_health(self) -> bool:
        """Whether it is a probe's question: these are answered whatever else the service refuses."""
        return self.path in HEALTH

    @property
    def is_of_v2(self) -> bool:
        """Whether it is for the v2 API, which speaks the Open Inference Protocol."""
        return self.path.startswith("/v2/") or self.path == "/v2"


def again(body: bytes, receive: Receive) -> Receive:
    """What an application receives of a request whose body was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
