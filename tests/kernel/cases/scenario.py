"""One scenario that calls every verb, with ids, nonces and times that do not change between two runs.

The tests run it through faults and compare what the server holds at the end with a run without any.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from actors.kernel import Beat, Child, Endpoint, Grant, Keeper, KernelOptions, Release, Spawn, Submission, Worker
from actors.kernel.connection import persist
from actors.kernel.consumers import Consumers
from actors.kernel.items import OnChildFailure
from tests.kernel.cases.hands import INBOXES, REASON, commit_of, fail_of
from tests.kernel.stages import Installation

OPTIONS = KernelOptions(lease_s=30, beat_s=5)
FULL_BYTES = 1
IMMEDIATELY_S = -1.0
"""A lease so short that every consumer has been idle for longer."""
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
        self._consumers = Consumers(through.client, through.partitions, KernelOptions(lease_s=IMMEDIATELY_S))
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

    async def _commit(self, *grants: Grant, following: str = "", split: bool = False) -> None:
        commits = [commit_of(grant, following, split=split) for grant in grants]
        await again(lambda: self._worker.commit("00", commits))

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
            await self._have_children()
            await self._look_after()
        finally:
            await self._client.config_set("maxmemory", 0)

    async def _admit(self) -> None:
        await again(lambda: self._keeper.set_endpoint("t", "hook", Endpoint({"job.completed": True}, "x", 60_000)))
        for name in ("p", "q", "r", "s", "u", "v"):
            await self._submit(name, key=f"k{name}")
        await self._submit("w")
        for name in ("x", "y", "z"):
            await self._submit(name, "c")
        for name in ("goes-on", "fails", "waits"):
            await self._submit(name, "parent")

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

    async def _spawn(self, parent: Grant, *numbers: int) -> None:
        stage = parent.job.replace("j00-", "child-")
        on_failure: OnChildFailure = "fail" if parent.job == "j00-fails" else "go_on"
        children = tuple(Child(number=number, stage=stage, spec=b"{}", input=b"{}") for number in numbers)
        async with self._room():
            await again(lambda: self._worker.spawn("00", Spawn(parent.job, parent.fence, children, on_failure)))

    async def _replay(self, job: str) -> None:
        async with self._room():
            await again(lambda: self._submitter.replay(job, from_first=False))

    async def _have_children(self) -> None:
        """Parents of three children each: one goes on without a child that fails, one fails with it, one waits."""
        for parent in await self._take(3, "parent"):
            await self._spawn(parent, 1, 2)
            await self._spawn(parent, 2, 3)
            await self._commit(parent, following="joined", split=True)
        child, needed = await self._take(3, "child-goes-on"), await self._take(2, "child-fails")
        await again(
            lambda: self._worker.beat("00", [Beat(grant.job, grant.fence, 40.0) for grant in (*child, *needed)])
        )
        await again(lambda: self._worker.fail("00", [fail_of(child[0], "permanent"), fail_of(needed[0], "permanent")]))
        await self._commit(child[1], needed[1])
        await self._replay(child[0].job)
        await self._replay("j00-fails")
        await self._commit(child[2], *await self._take(3, "child-goes-on"))
        await self._commit(*await self._take(3, "child-fails"))
        await self._commit(*await self._take(2, "joined"))
        await self._submitter.cancel("j00-u", "ann")
        await self._replay("j00-u")

    async def _look_after(self) -> None:
        """What the reaper and operators do beside the work."""
        await again(lambda: self._keeper.purge("00", ["j00-s", "j00-q"]))
        async with self._room():
            for name in ("first", "second", "third"):
                await self._submit(name, "nobody")
            await again(lambda: self._keeper.set_limit("t", 3))
        await again(lambda: self._submitter.cancel("j00-y", "ann"))
        await again(lambda: self._submitter.delete("j00-fails"))
        await again(lambda: self._keeper.turn("t"))
        await again(lambda: self._consumers.drop("00", self._keys.inbox("a", "cpu", "normal")))


async def again(call: Callable[[], Awaitable[Reply]]) -> Reply:
    """What every caller does with a call that was not answered."""
    return await persist(call, patience_s=10)
