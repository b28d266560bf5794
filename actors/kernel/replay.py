"""Replaying and purging dead letters by the page, at a set rate.

Whoever drives asks for one page after another with the cursor that the last answer gave. Nothing is kept in between, so
a driver or a server that dies loses nothing, and a page that is asked for again finds its jobs replayed already. Pages
go from the newest to the oldest letter: a job that dies again is newer than the cursor and is not met again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import msgspec
import redis.asyncio

from actors.kernel.connection import persist
from actors.kernel.dead import DeadLetters
from actors.kernel.dead_letter import DeadFilter, DeadLetter
from actors.kernel.keeper import Keeper
from actors.kernel.keys import Partitions
from actors.kernel.states import State
from actors.kernel.submitter import Replayed, Submitter
from actors.kernel.views import read_job

MOST_OF_A_PAGE = 100
PATIENCE_S = 5.0
LONGEST_PAGE_S = 10.0
"""A page at a low rate ends after so long, with the cursor of the rest."""

RefsExist = Callable[[tuple[str, ...]], Awaitable[bool]]
"""Whether everything that these refs name is still there; storage knows, the kernel does not."""


Outcome = Literal["replayed", "already", "illegal", "parent", "gone"]


class Replay(msgspec.Struct, frozen=True):
    """What became of one job."""

    job: str
    outcome: Outcome
    """already: it is on its way again, so the wish was fulfilled before. illegal: it completed. parent: a child whose
    parent does not wait for it, so that its parent has to be replayed. gone: there is no such job any more."""
    state: str
    """Of the job; of its parent where that is in the way; empty when it is gone."""
    start: Literal["here", "first"]
    """At the stage where it ended, or from the first one because what it needs is gone."""


class ReplayPage(msgspec.Struct, frozen=True):
    """One page, and the cursor of the next; None: the last one."""

    replays: list[Replay]
    next: str | None


class PurgePage(msgspec.Struct, frozen=True):
    """One page of jobs that the reaper will forget, and the cursor of the next; None: the last one."""

    jobs: list[str]
    next: str | None


class Replayer:
    """Replays and purges. Raises StoreFull, StoreUnavailable and UnknownJobId as its clients do."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        partitions: Partitions,
        submitter: Submitter,
        keeper: Keeper,
        refs_exist: RefsExist,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._dead = DeadLetters(client, partitions)
        self._submitter = submitter
        self._keeper = keeper
        self._refs_exist = refs_exist

    async def replay(self, job: str, *, worker: str | None = None, life_s: float | None = None) -> Replay:
        """Lets a job that ended without success run again, with full budgets and a new deadline.

        `worker`: the quarantine worker that alone may take it. `life_s`: until the new deadline; None: the default.
        """
        view = await persist(lambda: read_job(self._client, self._partitions, job), patience_s=PATIENCE_S)
        if view is None:
            return Replay(job, "gone", "", "here")
        # A child always begins where it ended: what comes before that is its parent's.
        from_first = not view.parent and not await self._refs_exist(view.refs)
        replayed = await self._submitter.replay(job, from_first=from_first, life_s=life_s, worker=worker)
        return Replay(job, _outcome(replayed), replayed.state, "first" if from_first else "here")

    async def replay_page(
        self,
        wanted: DeadFilter,
        *,
        before: str | None = None,
        limit: int = MOST_OF_A_PAGE,
        rate: float | None = None,
        worker: str | None = None,
        life_s: float | None = None,
    ) -> ReplayPage:
        """Replays the page of dead letters behind the cursor `before`, at most `rate` a second.

        Raises ValueError for a malformed cursor.
        """
        letters, following = await self._page(wanted, before, limit)
        replays: list[Replay] = []
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, letter in enumerate(letters):
            due_s = 0.0 if rate is None else number / rate
            if number and max(due_s, loop.time() - began_s) >= LONGEST_PAGE_S:
                return ReplayPage(replays, str(letters[number - 1].place))
            await asyncio.sleep(max(0.0, began_s + due_s - loop.time()))
            replays.append(await self.replay(letter.job, worker=worker, life_s=life_s))
        return ReplayPage(replays, following)

    async def purge_page(
        self, wanted: DeadFilter, *, before: str | None = None, limit: int = MOST_OF_A_PAGE
    ) -> PurgePage:
        """Purges the page of dead letters behind `before`. Raises ValueError for a malformed cursor."""
        letters, following = await self._page(wanted, before, limit)
        return PurgePage(await self.purge([letter.job for letter in letters]), following)

    async def purge(self, jobs: list[str]) -> list[str]:
        """Makes these ended jobs due for retention; the reaper sweeps their files and forgets them.

        Returns those that were taken: a job that has not ended stays.
        """
        taken: list[str] = []
        by_partition: dict[str, list[str]] = {}
        for job in jobs:
            by_partition.setdefault(self._partitions.of_job(job), []).append(job)
        for partition, some in by_partition.items():
            for first in range(0, len(some), MOST_OF_A_PAGE):
                page = some[first : first + MOST_OF_A_PAGE]
                taken += await persist(partial(self._keeper.purge, partition, page), patience_s=PATIENCE_S)
        return taken

    async def _page(self, wanted: DeadFilter, before: str | None, limit: int) -> tuple[list[DeadLetter], str | None]:
        return await persist(lambda: self._dead.page(wanted, before=before, limit=limit), patience_s=PATIENCE_S)


def _outcome(replayed: Replayed) -> Outcome:
    if replayed.outcome == "ok":
        return "replayed"
    if replayed.outcome == "illegal" and replayed.state != State.COMPLETED:
        return "already"
    return replayed.outcome
