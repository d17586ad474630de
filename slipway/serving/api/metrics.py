"""The page at `/metrics`, which Prometheus reads."""

import anyio.to_thread
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from slipway.serving.http.request import Request
from slipway.serving.http.routes import Route
from slipway.serving.observe.metrics import Telemetry


class MetricsPage:
    """All metrics of all workers, in Prometheus' text format."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    @property
    def routes(self) -> dict[str, Route]:
        """The page alone."""
        return {"/metrics": Route(self._page)}

    async def _page(self, request: Request, body: bytes) -> Response:
        self._telemetry.flush()
        # in a thread, as the files of all workers are read: requests are answered meanwhile
        text = await anyio.to_thread.run_sync(self._telemetry.text)
        return Response(text, media_type=CONTENT_TYPE_LATEST)
