"""Takes of one worker. What a take granted is never lost with its reply.

A take that was not answered is repeated under its nonce and finds what it granted. What nobody has a place for by then,
because the worker stops or is full, is given back without spending a budget.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
import structlog

from actors.kernel.connection import persist
from actors.kernel.execution import STOPPING
from actors.kernel.gather import Gather
from actors.kernel.items import Grant, Release, Taken
from actors.kernel.keys import new_nonce
from actors.kernel.order import Order
from actors.kernel.worker import Worker

log = structlog.get_logger("kernel.taking")


class Taking:
    """The verb `take` for one worker."""

    def __init__(self, worker: Worker, order: Order, release: Gather[Release]) -> None:
        self._worker = worker
        self._order = order
        self._release = release
        self._unanswered: dict[str, str] = {}
        """Partition to the nonce of a take that has not been answered yet."""

    @property
    def unanswered(self) -> int:
        """Takes that have not been answered yet."""
        return len(self._unanswered)

    async def take(self, partition: str, want: int, holding: int) -> Taken:
        """Up to `want` jobs of one partition; `holding`: jobs this worker has already. Sent once; errors pass."""
        nonce = self._unanswered.setdefault(partition, new_nonce())
        inboxes = self._order.inboxes(partition)
        taken = await self._worker.take(partition, inboxes, want, nonce, holding=holding)
        del self._unanswered[partition]
        # An earlier call under this nonce may have been granted more than there is room for now.
        await self._give_back(partition, taken.grants[want:])
        return msgspec.structs.replace(taken, grants=taken.grants[:want])

    async def end(self, patience_s: float) -> None:
        """Gives back what unanswered takes were granted. After `patience_s` without an answer the reaper finds it."""
        for partition in list(self._unanswered):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    # It wants nothing, so that it finds only what it was granted before.
                    await persist(lambda partition=partition: self.take(partition, 0, 0))  # type: ignore[misc]

    async def _give_back(self, partition: str, grants: Sequence[Grant]) -> None:
        releases = [Release(grant.job, grant.fence, STOPPING) for grant in grants]
        for release in releases:
            log.info("take.given_back", job=release.job, fence=release.fence)
        await asyncio.gather(*(self._release.end(partition, release) for release in releases))
