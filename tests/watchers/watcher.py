"""One watcher of one job: follows, and comes back with its cursor whenever its connection ends before the job has."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.watchers.frames import Frame
from tests.watchers.sse_connection import SseConnection
from tests.watchers.story import Connected, Left, Story

FIRST_RETRY_MS = 1000


@dataclass(frozen=True, slots=True)
class Manners:
    """How a watcher behaves."""

    retry_scale: float = 1.0
    """Part of the asked time after which it comes back: a test is short."""
    pauses_s: float = 0.0
    """After some frames it reads nothing for so long."""
    cuts: float = 0.0
    """Chance, at each frame, that it breaks its connection."""
    receive_buffer_bytes: int | None = None


class Watcher:
    """`story` is what it lived through; `cursor` what an EventSource would send."""

    def __init__(self, name: str, job: str, key: str, port: Callable[[], int], manners: Manners, seed: str) -> None:
        """`port`: where to connect next."""
        self.story = Story(name, job)
        self.cursor: str | None = None
        self.following = asyncio.Event()
        """A snapshot was shown."""
        self._key = key
        self._port = port
        self._manners = manners
        self._draw = random.Random(f"{seed} {name}")
        self._retry_ms = FIRST_RETRY_MS
        self._over = False

    @property
    def slow(self) -> bool:
        """It does not always read."""
        return self._manners.pauses_s > 0

    async def run(self) -> None:
        """Until the end of the job's events. Cancelled: it has left."""
        try:
            while not self._over:
                try:
                    await self._connection()
                except (OSError, TimeoutError):
                    self.story.refusals += 1
                if not self._over:
                    await asyncio.sleep(self._retry_ms / 1000 * self._manners.retry_scale * self._draw.uniform(1, 1.2))
        except asyncio.CancelledError:
            self.story.items.append(Left())
            raise

    async def _connection(self) -> None:
        connection = await SseConnection.open(
            self._port(),
            self.story.job,
            self._key,
            self.cursor,
            receive_buffer_bytes=self._manners.receive_buffer_bytes,
        )
        try:
            self.story.items.append(Connected(self.cursor, connection.answer))
            # No such job: nothing to come back for, and the checker has its say.
            self._over = connection.answer != "stream"
            while not self._over and (frames := await connection.read()):
                for frame in frames:
                    self._see(frame)
                    if self._draw.random() < self._manners.cuts:
                        return
                if self._manners.pauses_s and self._draw.random() < 0.5:
                    await asyncio.sleep(self._manners.pauses_s)
        finally:
            connection.abort()

    def _see(self, frame: Frame) -> None:
        self.story.items.append(frame)
        if frame.id is not None:
            self.cursor = frame.id
        if frame.retry_ms is not None:
            self._retry_ms = frame.retry_ms
        if frame.event == "snapshot":
            self.following.set()
        elif frame.event == "end":
            self._over = True
