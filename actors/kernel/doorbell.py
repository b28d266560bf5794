"""The doorbell: waits for new hints without consuming any.

A plain blocking XREAD behind the last id each group has delivered. It has no side effect, so it may be cancelled, lost
or repeated at any moment; consuming is `take`'s alone.
"""

import redis.asyncio

from actors.kernel.connection import connect
from actors.kernel.options import RedisOptions
from actors.kernel.scripts import text

BLOCK_S = 5.0
"""Longest wait. Afterwards the worker takes from everywhere: an inbox that was lost may begin again at smaller ids."""


class Doorbell:
    """One blocking connection of one worker."""

    def __init__(self, options: RedisOptions) -> None:
        self._client: redis.asyncio.Redis = connect(options, block_s=BLOCK_S, connections=1)

    async def ring(self, bells: dict[str, str]) -> set[str]:
        """Waits until an inbox has an entry behind its id, at most five seconds; returns those inboxes."""
        call = ["XREAD", "COUNT", 1, "BLOCK", round(BLOCK_S * 1000), "STREAMS", *bells.keys(), *bells.values()]
        reply: list[tuple[bytes, object]] | None = await self._client.execute_command(*call)  # type: ignore[no-untyped-call]
        return {text(stream) for stream, _ in reply or []}

    async def close(self) -> None:
        await self._client.aclose()
