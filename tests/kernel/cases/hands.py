"""A worker whose verbs a test calls one by one, under grants that it can keep for later."""

from collections.abc import Awaitable, Callable
from typing import Literal

from actors.kernel import Beat, Commit, End, Fail, Grant, Pulse, Release, Worker, new_nonce
from tests.kernel.stages import Installation

INBOXES = ("again", "alone", "high", "normal", "low")
REASON = b'{"code":"X","message":"m"}'


class Hands:
    """One worker of one stage of partition 00."""

    def __init__(self, house: Installation, name: str = "w") -> None:
        self.house = house
        self.worker = Worker(house.client, house.partitions, house.options, name)

    async def take(self, want: int = 50, *, stage: str = "a", nonce: str | None = None) -> list[Grant]:
        inboxes = [self.house.keys.inbox(stage, "cpu", name) for name in INBOXES]
        return (await self.worker.take("00", inboxes, want, nonce or new_nonce())).grants

    async def take_one(self, stage: str = "a", nonce: str | None = None) -> Grant:
        (grant,) = await self.take(1, stage=stage, nonce=nonce)
        return grant

    async def beat(self, grant: Grant, percent: float | None = None) -> Pulse:
        (pulse,) = await self.worker.beat("00", [Beat(grant.job, grant.fence, percent)])
        return pulse

    async def commit(self, grant: Grant, following: str = "") -> End:
        (end,) = await self.worker.commit("00", [commit_of(grant, following)])
        return end

    async def fail(self, grant: Grant, cls: str = "transient") -> End:
        (end,) = await self.worker.fail("00", [fail_of(grant, cls)])
        return end

    async def release(self, grant: Grant) -> End:
        (end,) = await self.worker.release("00", [Release(grant.job, grant.fence, REASON)])
        return end


def commit_of(grant: Grant, following: str = "", *, split: bool = False) -> Commit:
    """With a following stage `next` or `split`, else `done`."""
    kind: Literal["next", "split", "done"] = "split" if split else "next" if following else "done"
    return Commit(grant.job, grant.fence, kind, following, "cpu", b"{}")


def fail_of(grant: Grant, cls: str = "transient") -> Fail:
    """An error whose delay does not end by itself within a test."""
    return Fail(grant.job, grant.fence, cls, 60_000, 3, b'{"code":"X"}', REASON)  # type: ignore[arg-type]


Ending = Callable[[Hands, Grant], Awaitable[End]]
ENDINGS: dict[str, Ending] = {
    "commit next": lambda hands, grant: hands.commit(grant, "b"),
    "commit done": lambda hands, grant: hands.commit(grant),
    "fail transient": lambda hands, grant: hands.fail(grant),
    "fail throttled": lambda hands, grant: hands.fail(grant, "throttled"),
    "fail permanent": lambda hands, grant: hands.fail(grant, "permanent"),
    "release": lambda hands, grant: hands.release(grant),
}
"""Every way in which a worker may end a lease."""


async def lose_leases(house: Installation, *jobs: str) -> dict[str, str]:
    """The leases run out as if their workers were gone, and a reaper finds them; what became of the jobs."""
    await house.client.zadd(house.keys.leases, dict.fromkeys(jobs, 1))
    return await house.reap()
