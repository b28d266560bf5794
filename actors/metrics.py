"""Prometheus metrics of a process that has no gateway: one small server on a port of its own."""

import asyncio

from prometheus_client import start_http_server

from actors.settings import MetricsSettings


class MetricsEndpoint:
    """A Service that answers `/metrics` from a thread, so a busy loop does not hide the process."""

    name = "metrics"

    def __init__(self, settings: MetricsSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        self._server, self._thread = start_http_server(self._settings.port, self._settings.host)

    async def ready(self) -> None:
        """It is ready once it has started."""

    async def drain(self) -> None:
        """Metrics are served until the end: a drain is when they are looked at."""

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        await asyncio.to_thread(self._thread.join)
