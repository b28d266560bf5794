"""Duty: delayed and scheduled jobs whose time has come are queued."""

from prometheus_client import Counter

from actors.kernel import Keeper
from actors.reaper.duty import MOST_CALLS, MOST_PER_CALL

PROMOTED = Counter("reelway_promoted_total", "Delayed jobs that were queued again.")


class Delays:
    """Promotes what is due."""

    name = "delays"
    interval_s = 0.0

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def run(self, partition: str) -> None:
        for _ in range(MOST_CALLS):
            promoted = await self._keeper.promote(partition)
            PROMOTED.inc(len(promoted))
            if len(promoted) < MOST_PER_CALL:
                return
