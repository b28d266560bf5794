"""One scenario that calls every verb, with ids, nonces and times that do not change between two runs.

The tests run it through faults and compare what the server holds at the end with a run without any.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from actors.kernel import Beat, Endpoint, Grant, Keeper, KernelOptions, Release, Submission, Worker
from actors.kernel.connection import persist
from tests.kernel.cases.hands import INBOXES, REASON, commit_of, fail_of
from tests.kernel.stages import Installation

OPTIONS = KernelOptions(lease_s=30, beat_s=5)
FULL_BYTES = 1
Reply = TypeVar("Reply")


class Scenario:
    """Calls every verb through the proxy; changes what time would change directly."""

    def __init__(self, through: Installation, direct: Installation, *, full: bool = False) -> None:
        self._direct = direct
        self._full = full
        """Whether the server is at maxmemory, except while work is admitted."""
        self._client, self._keys = direct.client, direct.keys
        self._submitter = through.submitter
        self._keeper = Keeper(through.client, through.partitions, through.options)
        self._worker = Worker(through.client, through.partitions, through.options, "w")
        self._calls = 0

    async def _submit(self, name: str, stage: str = "a", key: str | None = None) -> str:
        submission = Submission(
            tenant="t", stage=stage, spec=b"{}", input=b"{}", job=f"j00-{name}", idempotency_key=key, digest="d"
        )
        return (await self._submitter.submit(submission)).job

    async def _take(self, want: int, stage: str = "a") -> list[Grant]:
        self._calls += 1
        nonce = f"n{self._calls}"
        inboxes = [self._keys.inbox(stage, "cpu", name) for name in INBOXES]
        return (await again(lambda: self._worker.take("00", inboxes, want, nonce))).grants

    async def _commit(self, *grants: Grant, following: str = "") -> None:
        await again(lambda: self._worker.commit("00", [commit_of(grant, following) for grant in grants]))

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """Memory to write into: for what may be refused, and for the hand that turns the clock."""
        if self._full:
            await self._client.config_set("maxmemory", 0)
        yield
        if self._full:
            await self._client.config_set("maxmemory", FULL_BYTES)

    async def _make_old(self, rows: str, *jobs: str) -> None:
        """What these rows wait for is over."""
        async with self._room():
            await self._client.zadd(rows, dict.fromkeys(jobs, 1))

    async def _reap(self, *jobs: str) -> None:
        await self._make_old(self._keys.leases, *jobs)
        heard_ms = await self._direct.keeper.server_time_ms()
        await again(lambda: self._keeper.reap("00", heard_ms))

    async def _release(self, grant: Grant) -> None:
        await again(lambda: self._worker.release("00", [Release(grant.job, grant.fence, REASON)]))

    async def run(self) -> None:
        """From an empty database to jobs in every state."""
        try:
            async with self._room():
                await self._admit()
            await self._work()
            await self._keep()
            await self._come_late()
        finally:
            await self._client.config_set("maxmemory", 0)

    async def _admit(self) -> None:
        await again(lambda: self._keeper.set_endpoint("t", "hook", Endpoint({"job.completed": True}, "x", 60_000)))
        for name in ("p", "q", "r", "s", "u", "v"):
            await self._submit(name, key=f"k{name}")
        await self._submit("w")
        for name in ("x", "y", "z"):
            await self._submit(name, "c")

    async def _work(self) -> None:
        """The worker's verbs, and what clients say meanwhile."""
        first, second, third, fourth = await self._take(4)
        beats = [Beat(first.job, first.fence, 20.0), Beat(second.job, second.fence)]
        await again(lambda: self._worker.beat("00", beats))
        await self._commit(first, second, following="b")
        await again(lambda: self._worker.fail("00", [fail_of(third), fail_of(fourth, "permanent")]))
        await self._commit(*await self._take(1, "b"))
        (fifth,) = await self._take(1)
        await self._release(fifth)
        (fifth,) = await self._take(1)
        await again(lambda: self._submitter.cancel(fifth.job, "ann"))
        await again(lambda: self._worker.beat("00", [Beat(fifth.job, fifth.fence)]))
        await self._release(fifth)
        await again(lambda: self._submitter.cancel("j00-w", "bob"))

    async def _keep(self) -> None:
        """The reaper's verbs, on rows that are made old."""
        await self._make_old(self._keys.due, "j00-r")
        await again(lambda: self._keeper.promote("00"))
        (sixth,) = await self._take(1)
        await self._reap(sixth.job)
        await again(lambda: self._worker.beat("00", [Beat(sixth.job, sixth.fence, 50.0)]))
        await self._commit(sixth)
        await self._client.delete(self._keys.inbox("b", "cpu", "normal"))
        await again(lambda: self._keeper.reconcile("00", "0"))
        await self._make_old(self._keys.deadlines, "j00-w", "j00-q")
        await again(lambda: self._keeper.expire("00"))
        await again(lambda: self._keeper.retention("00", ["j00-w"]))

    async def _come_late(self) -> None:
        """What a worker sends after the reaper has been there."""
        going_on, released, failed = await self._take(3, "c")
        await self._reap("j00-x", "j00-y", "j00-z")
        await self._commit(going_on, following="b")
        await self._release(released)
        await again(lambda: self._worker.fail("00", [fail_of(failed)]))


async def again(call: Callable[[], Awaitable[Reply]]) -> Reply:
    """What every caller does with a call that was not answered."""
    return await persist(call, patience_s=10)
