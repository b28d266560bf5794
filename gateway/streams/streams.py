"""All streams of this process: how many there may be, the one clock they share, and their common end."""

import asyncio
import random

import structlog

from gateway.http.metrics import GatewayMetrics
from gateway.streams.connection import Connection
from gateway.streams.outbox import Outbox

LOOK_S = 0.25
TICK_S = 1.0
SPREAD_MS_PER_STREAM = 20
LONGEST_SPREAD_MS = 10_000
SHED_RETRY_MS = 15_000
"""Added where there are too many streams, or the store is away: it will take a while."""

_log = structlog.get_logger(__name__)


class Streams:
    """The open connections. One clock serves them all, so a connection costs no timer of its own."""

    def __init__(self, most: int, metrics: GatewayMetrics, *, tick_s: float = TICK_S) -> None:
        self._most = most
        self._metrics = metrics
        self._tick_s = tick_s
        self._open: dict[Connection, None] = {}
        self.outbox = Outbox()
        """Where their bytes leave together."""
        self._spread_ms = 0
        """Over how long clients come back that are asked to. Written by `drain`."""
        self.draining = False
        """No new stream is begun; the open ones have been told to come back."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether a further stream must be turned away."""
        return self.draining or len(self._open) >= self._most

    def add(self, stream: Connection) -> None:
        """A stream begins."""
        self._open[stream] = None
        self._metrics.streams.labels(stream.wire.transport).inc()

    def remove(self, stream: Connection) -> None:
        """A stream has ended."""
        if stream in self._open:
            del self._open[stream]
            self._metrics.streams.labels(stream.wire.transport).dec()
        if stream.slow:
            self._metrics.slow_disconnects.inc()

    def retry_ms(self) -> int:
        """When a client shall come back: at random, since an EventSource adds no jitter of its own."""
        if not self.draining:
            return random.randint(2000, 6000)
        return random.randint(500, 1000 + self._spread_ms)

    def turn_away(self) -> int:
        """Counts a client that gets no stream; when it shall come back, in ms."""
        self._metrics.openings.labels("shed").inc()
        return self.retry_ms() + (0 if self.draining else SHED_RETRY_MS)

    def drain(self) -> None:
        """Asks every client to come back, which ends all streams."""
        self.draining = True
        # Of those that were open then: the last to be told must not come back sooner because the first have gone.
        self._spread_ms = min(LONGEST_SPREAD_MS, SPREAD_MS_PER_STREAM * len(self._open))
        for stream in tuple(self._open):
            stream.leave("draining")

    async def keep_time(self) -> None:
        """The clock. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        ticked_at_s = loop.time()
        while True:
            await asyncio.sleep(min(LOOK_S, self._tick_s))
            now_s = loop.time()
            ticks = now_s - ticked_at_s >= self._tick_s
            if ticks:
                ticked_at_s = now_s
            for stream in tuple(self._open):
                try:
                    if stream.behind:
                        stream.look(now_s)
                    if ticks:
                        stream.tick(now_s)
                except Exception:  # noqa: BLE001 - one broken stream must not stop the clock of the others
                    _log.exception("stream.failed", transport=stream.wire.transport)
                    stream.abort()
