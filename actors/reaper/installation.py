"""What a reaper looks at once for all partitions: who works here, and what is paused."""

from redis.asyncio import Redis

from actors.kernel.presence import forget_silent, list_workers
from actors.reaper.lanes import Lanes
from actors.reaper.pauses import PauseCopies
from actors.reaper.survey import show_workers


class Installation:
    """Reads the keys under `rw:{sys}:` and tells the duties that depend on them. Done like a duty, for no partition."""

    name = "installation"
    interval_s = 5.0

    def __init__(self, client: Redis, lanes: Lanes, pauses: PauseCopies) -> None:
        self._client = client
        self._lanes = lanes
        self._pauses = pauses

    async def look(self) -> None:
        await forget_silent(self._client)
        workers = await list_workers(self._client)
        self._lanes.look(workers)
        show_workers(workers)
        await self._pauses.look()
