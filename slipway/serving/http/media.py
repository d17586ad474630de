"""What kind of body the service reads."""

from slipway.serving.http.errors import Refusal
from slipway.serving.http.request import Request


def check_encoding(request: Request) -> None:
    """Raises Refusal, with 415, for a body that is compressed."""
    encoding = request.header(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise Refusal(415, f"the body must be sent as it is, not with Content-Encoding: {encoding[:100]}")


def check_json(request: Request) -> None:
    """Raises Refusal, with 415, for a body that is compressed, or not declared to be JSON.

    BentoML itself would read a form, a pickle or plain text as best it can, and answer about something else. A
    `Content-Type` left out counts as JSON.
    """
    kind = request.header(b"content-type")
    if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, f"the body must be JSON: send Content-Type: application/json, not {kind[:200]}")
    check_encoding(request)
