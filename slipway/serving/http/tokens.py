"""Who may ask: anyone, or whoever has one of the tokens of `SLIPWAY_TOKENS`."""

import hmac
import os
from collections.abc import Sequence

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.serving.http.request import header, is_of_health

VARIABLE = "SLIPWAY_TOKENS"


def tokens() -> list[bytes]:
    """The tokens of the environment: separated by commas, blanks around them ignored."""
    return [token.strip().encode() for token in os.environ.get(VARIABLE, "").split(",") if token.strip()]


def is_known(offered: str, known: Sequence[bytes]) -> bool:
    """Whether an `Authorization` header bears a known token; it takes as long for a near miss as for any other."""
    kind, _, token = offered.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode("latin-1"), each) for each in known]
    return kind.lower() == "bearer" and any(matches)


class BearerTokens:
    """ASGI middleware: where there are tokens, a request without one gets 401, unless it asks for health."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.tokens = tokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            self.tokens
            and scope["type"] == "http"
            and not is_of_health(scope)
            and not is_known(header(scope, b"authorization") or "", self.tokens)
        ):
            answer = JSONResponse(
                {"error": "this service asks for a token: send Authorization: Bearer TOKEN"},
                401,
                headers={"WWW-Authenticate": 'Bearer realm="slipway"'},
            )
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)
