"""One watcher: follows its target, and comes back with its cursor whenever its connection ends before it has."""

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tests.watchers.frames import Frame
from tests.watchers.sse_connection import SseConnection
from tests.watchers.story import Connected, Left, Story
from tests.watchers.target import Target, Transport
from tests.watchers.ws_connection import WsConnection

FIRST_RETRY_MS = 1000
PAUSE_S = 1.0
CONNECTIONS: dict[Transport, type[SseConnection] | type[WsConnection]] = {"sse": SseConnection, "ws": WsConnection}
TERMINAL = ("completed", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class Manners:
    """How a watcher behaves."""

    retry_scale: float = 1.0
    """Part of the asked time after which it comes back: a test is short."""
    pauses: int = 0
    """So often it reads nothing for a second."""
    cuts: float = 0.0
    """Chance, at each frame, that it breaks its connection."""
    receive_buffer_bytes: int | None = None
    transport: Transport = "sse"


class Watcher:
    """`story` is what it lived through; `cursor` what an EventSource would send."""

    def __init__(
        self,
        name: str,
        target: Target,
        jobs: Collection[str],
        key: str,
        port: Callable[[], int],
        manners: Manners,
        seed: str,
    ) -> None:
        """`jobs`: those whose end it waits for. `port`: where to connect next."""
        self.story = Story(name, target.job or "")
        self.cursor: str | None = None
        self.following = asyncio.Event()
        """A snapshot was shown."""
        self.target = target
        self.jobs = tuple(jobs)
        self._open_jobs = set(jobs)
        self._key = key
        self._port = port
        self._manners = manners
        self._draw = random.Random(f"{seed} {name}")
        self._retry_ms = FIRST_RETRY_MS
        self._over = False
        self._pauses_left = manners.pauses

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
        connection = await CONNECTIONS[self._manners.transport].open(
            self._port(), self.target, self._key, self.cursor, self._manners.receive_buffer_bytes
        )
        try:
            self.story.items.append(Connected(self.cursor, connection.answer, connection.primed))
            # No such job: nothing to come back for, and the checker has its say.
            self._over = connection.answer != "stream"
            while not self._over and (frames := await connection.read()):
                for frame in frames:
                    self._see(frame)
                    if self._draw.random() < self._manners.cuts:
                        return
                if self._pauses_left and self._draw.random() < 0.5:
                    self._pauses_left -= 1
                    await asyncio.sleep(PAUSE_S)
        finally:
            connection.abort()

    def _see(self, frame: Frame) -> None:
        self.story.items.append(frame)
        if frame.id is not None:
            self.cursor = frame.id
        if frame.retry_ms is not None:
            self._retry_ms = frame.retry_ms
        if frame.event in ("snapshot", "resync"):
            self.following.set()
        if self.target.job is not None:
            self._over = frame.event == "end"
        elif frame.data is not None and "job" in frame.data:
            self._note_ends(frame, frame.data)

    def _note_ends(self, frame: Frame, data: dict[str, Any]) -> None:
        """A tenant's events have no end: it leaves when it has seen the end of each job."""
        if frame.event in ("snapshot", "resync"):
            # Anew: an end that it was shown may have been undone.
            ended = {job["id"] for job in data["data"]["jobs"] if job["state"] in TERMINAL}
            self._open_jobs = set(self.jobs) - ended
        elif frame.event.removeprefix("job.") in TERMINAL:
            self._open_jobs.discard(data["job"])
        self._over = not self._open_jobs
