"""What the middlewares ask of a request."""

from starlette.types import Message, Receive, Scope

HEALTH = {"/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready"}


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, which is in lower case. Starlette's `Headers` takes ten times as long."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def is_of_health(scope: Scope) -> bool:
    """Whether it is a probe's question: these are answered whatever else the service refuses."""
    return scope["path"] in HEALTH


def is_of_protocol(scope: Scope) -> bool:
    """Whether it is for the second door, which speaks the Open Inference Protocol."""
    path: str = scope["path"]
    return path.startswith("/v2/") or path == "/v2"


def again(body: bytes, receive: Receive) -> Receive:
    """What an application receives of a request whose body was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
