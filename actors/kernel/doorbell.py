"""The doorbell: waits for new hints without consuming any.

A plain blocking XREAD behind the last id each group has delivered. It has no side effect, so it may be cancelled, lost
or repeated at any moment; consuming is `take`'s alone. On a Redis Cluster one read serves one partition, elsewhere all.
"""

import asyncio

from actors.kernel.connection import connect
from actors.kernel.ending import end_tasks
from actors.kernel.options import RedisOptions
from actors.kernel.routed import is_sharded
from actors.kernel.scripts import text

BLOCK_S = 5.0
"""Longest wait. Afterwards the worker takes from everywhere: an inbox that was lost may begin again at smaller ids."""
MOST_READS = 100
"""Partitions an installation may have."""
Bells = tuple[tuple[str, str], ...]


class Doorbell:
    """The blocking connections of one worker."""

    def __init__(self, options: RedisOptions) -> None:
        self._client = connect(options, block_s=BLOCK_S, connections=MOST_READS)
        self._reads: dict[Bells, asyncio.Task[set[str]]] = {}
        """Reads under way, by what they listen to; one that was not needed this time serves the next."""

    async def ring(self, bells: dict[str, str]) -> set[str]:
        """Waits until an inbox has an entry behind its id, at most five seconds; returns those inboxes."""
        wanted = self._split(bells)
        await end_tasks([self._reads.pop(outdated) for outdated in self._reads.keys() - wanted])
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + BLOCK_S * 0.98
        while True:
            for missing in wanted - self._reads.keys():
                self._reads[missing] = asyncio.create_task(self._read(missing))
            done, _ = await asyncio.wait(self._reads.values(), return_when=asyncio.FIRST_COMPLETED)
            self._reads = {listened: read for listened, read in self._reads.items() if read not in done}
            errors = [error for read in done if (error := read.exception()) is not None]
            rung = {inbox for read in done if read.exception() is None for inbox in read.result()}
            if errors and not rung:
                raise errors[0]
            if rung or loop.time() > gives_up_at:
                return rung

    async def close(self) -> None:
        await end_tasks(list(self._reads.values()))
        await self._client.aclose()

    def _split(self, bells: dict[str, str]) -> set[Bells]:
        if not is_sharded(self._client):
            return {tuple(bells.items())}
        partitions: dict[str, list[tuple[str, str]]] = {}
        for inbox, last in bells.items():
            partitions.setdefault(inbox[: inbox.index("}")], []).append((inbox, last))
        return {tuple(listened) for listened in partitions.values()}

    async def _read(self, bells: Bells) -> set[str]:
        inboxes, ids = zip(*bells, strict=True)
        call = ["XREAD", "COUNT", 1, "BLOCK", round(BLOCK_S * 1000), "STREAMS", *inboxes, *ids]
        reply: list[tuple[bytes, object]] | None = await self._client.execute_command(*call)  # type: ignore[no-untyped-call]
        return {text(stream) for stream, _ in reply or []}
