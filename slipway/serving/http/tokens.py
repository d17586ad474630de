"""Who may ask: anyone, or whoever has one of the service's tokens."""

import hmac
from collections.abc import Sequence

from slipway.serving.http.errors import Refusal
from slipway.serving.http.request import Request


class Tokens:
    """The tokens that the service knows. Where there are none, anyone may ask."""

    def __init__(self, known: Sequence[bytes]) -> None:
        self._known = known

    def check(self, request: Request) -> None:
        """Raises Refusal, with 401, unless a request bears a known token."""
        if self._known and not self._is_known(request.header(b"authorization") or ""):
            raise Refusal(
                401,
                "this service asks for a token: send Authorization: Bearer TOKEN",
                {"WWW-Authenticate": 'Bearer realm="slipway"'},
            )

    def _is_known(self, offered: str) -> bool:
        """Whether an `Authorization` header bears a known token; it takes as long for a near miss as for any other."""
        kind, _, token = offered.partition(" ")
        matches = [hmac.compare_digest(token.strip(" \t").encode("latin-1"), each) for each in self._known]
        return kind.lower() == "bearer" and any(matches)
