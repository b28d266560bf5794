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
        self._listening: asyncio.Future[None] | None = None
        """What `ring` waits for: it is woken by the reads themselves, which costs fewer turns than `asyncio.wait`."""
        self._hung_up = False

    async def ring(self, bells: dict[str, str]) -> set[str]:
        """Waits until an inbox has an entry behind its id, at most five seconds, or until it is hung up.

        Returns the inboxes that have one.
        """
        wanted = self._split(bells)
        await end_tasks([self._reads.pop(outdated) for outdated in self._reads.keys() - wanted])
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + BLOCK_S * 0.98
        while not self._hung_up:
            for missing in wanted - self._reads.keys():
                self._reads[missing] = asyncio.create_task(self._read(missing))
                self._reads[missing].add_done_callback(self._wake)
            done = [read for read in self._reads.values() if read.done()]
            if not done:
                self._listening = loop.create_future()
                await self._listening
                continue
            self._reads = {listened: read for listened, read in self._reads.items() if read not in done}
            errors = [error for read in done if (error := read.exception()) is not None]
            rung = {inbox for read in done if read.exception() is None for inbox in read.result()}
            if errors and not rung:
                raise errors[0]
            if rung or loop.time() > gives_up_at:
                return rung
        return set()

    def hang_up(self) -> None:
        """Nobody listens any more: `ring` returns at once."""
        self._hung_up = True
        self._wake()

    def _wake(self, _: object = None) -> None:
        if self._listening is not None and not self._listening.done():
            self._listening.set_result(None)

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
