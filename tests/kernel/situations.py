"""Situations with very many rows of one kind, and the calls that meet them.

A situation makes its rows and returns calls by name; each is prepared anew for every time it is measured.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from actors.kernel import Beat, KernelOptions
from actors.kernel.consumers import Consumers
from actors.kernel.keys import GROUP
from bench.case import Act
from bench.house import FOLLOWING, PARTITION, PAST_MS, STAGE, WIDTH, House, commit, fail, spawn
from tests.kernel.mass import copy_each

Calls = dict[str, Callable[[], Awaitable[Act]]]
Situation = Callable[[House, int], Awaitable[Calls]]
PAGE = 100
"""Rows that one call of a reaper's verb looks at."""
ROWS_PER_COMMAND = 10_000
FAR_MS = 10_000_000_000
IMMEDIATELY_S = -1.0
"""A lease so short that every consumer has been idle for longer."""


async def set_rows(house: House, ledger: str, jobs: Sequence[str], score: int) -> None:
    """The rows of all these jobs get one score."""
    for first in range(0, len(jobs), ROWS_PER_COMMAND):
        await house.client.zadd(ledger, dict.fromkeys(jobs[first : first + ROWS_PER_COMMAND], score), xx=True)


def everyday(house: House) -> Calls:
    """What another stage and the reaper do beside the mass."""

    async def submit() -> Act:
        return lambda: house.submit("bystander", FOLLOWING)

    async def take() -> Act:
        await house.queue(WIDTH, FOLLOWING)
        return lambda: house.take(WIDTH, FOLLOWING)

    async def beat() -> Act:
        beats = [Beat(grant.job, grant.fence, 5.0) for grant in await house.start(WIDTH, FOLLOWING)]
        return lambda: house.worker.beat(PARTITION, beats)

    async def commit_done() -> Act:
        commits = [commit(grant, "done") for grant in await house.start(WIDTH, FOLLOWING)]
        return lambda: house.worker.commit(PARTITION, commits)

    async def fail_for_good() -> Act:
        fails = [fail(grant, "permanent") for grant in await house.start(WIDTH, FOLLOWING)]
        return lambda: house.worker.fail(PARTITION, fails)

    async def cancel() -> Act:
        (job,) = await house.queue(1, FOLLOWING)
        return lambda: house.submitter.cancel(job, "acme")

    calls: Calls = {
        "submit": submit, "take": take, "beat": beat, "commit": commit_done, "fail": fail_for_good, "cancel": cancel,
    }  # fmt: skip
    return calls | {name: reaping(house, name) for name in ("promote", "reap", "expire", "reconcile")}


def reaping(house: House, verb: str) -> Callable[[], Awaitable[Act]]:
    """The reaper's calls, on whatever there is."""

    async def prepare() -> Act:
        heard_ms = await house.keeper.server_time_ms()
        acts: dict[str, Act] = {
            "promote": lambda: house.keeper.promote(PARTITION),
            "reap": lambda: house.keeper.reap(PARTITION, heard_ms),
            "expire": lambda: house.keeper.expire(PARTITION),
            "reconcile": lambda: house.keeper.reconcile(PARTITION, "0"),
        }
        return acts[verb]

    return prepare


def expiring(house: House, jobs: Iterator[str]) -> Callable[[], Awaitable[Act]]:
    """`expire` on a full page of these jobs."""

    async def prepare() -> Act:
        await set_rows(house, house.keys.deadlines, [next(jobs) for _ in range(PAGE)], PAST_MS)
        return lambda: house.keeper.expire(PARTITION)

    return prepare


def cancelling(house: House, jobs: Iterator[str]) -> Callable[[], Awaitable[Act]]:
    async def prepare() -> Act:
        job = next(jobs)
        return lambda: house.submitter.cancel(job, "acme")

    return prepare


def of_tenants(tenants: int, situation: Callable[[House, int, int], Awaitable[Calls]]) -> Situation:
    """The same rows, of so many tenants."""
    return lambda house, count: situation(house, count, tenants)


async def due_retries(house: House, count: int, tenants: int) -> Calls:
    jobs = await copy_each(house.client, house.partitions, await house.end(tenants, tenants=tenants), count)
    await set_rows(house, house.keys.due, jobs, PAST_MS)
    latest = reversed(jobs)
    return everyday(house) | {"cancel one": cancelling(house, latest), "expire a page": expiring(house, latest)}


async def dead_letters(house: House, count: int, tenants: int) -> Calls:
    originals = await house.end(tenants, "permanent", tenants=tenants)
    jobs = iter(await copy_each(house.client, house.partitions, originals, count))

    async def replay() -> Act:
        job = next(jobs)
        return lambda: house.submitter.replay(job, from_first=False)

    async def purge() -> Act:
        page = [next(jobs) for _ in range(PAGE)]
        return lambda: house.keeper.purge(PARTITION, page)

    async def retention() -> Act:
        page = [next(jobs) for _ in range(PAGE)]
        await set_rows(house, house.keys.deadlines, page, PAST_MS)
        return lambda: house.keeper.retention(PARTITION, page)

    return everyday(house) | {"replay": replay, "purge": purge, "retention": retention}


async def leases(house: House, count: int, tenants: int) -> Calls:
    """Healthy ones, then ones that run out."""
    originals = [grant.job for grant in await house.start(tenants, tenants=tenants)]
    jobs = await copy_each(house.client, house.partitions, originals, count)
    earliest, latest = iter(jobs), reversed(jobs)

    async def run_out(jobs: Sequence[str]) -> Act:
        await set_rows(house, house.keys.leases, jobs, PAST_MS)
        return await reaping(house, "reap")()

    async def lost() -> Act:
        return await run_out([next(earliest) for _ in range(PAGE)])

    async def crash_loops() -> Act:
        page = [next(earliest) for _ in range(PAGE)]
        for job in page:
            await house.client.hset(
                house.keys.job(job), mapping={"crashes": house.options.crash_budget - 1, "extra": 1}
            )
        return await run_out(page)

    async def clock_back() -> Act:
        await set_rows(house, house.keys.leases, jobs, FAR_MS * 1_000)
        return await reaping(house, "reap")()

    async def all_lost() -> Act:
        return await run_out(jobs)

    async def take_again() -> Act:
        return lambda: house.take(WIDTH)

    calls = {"expire a page": expiring(house, latest), "reap a page": lost, "reap crash loops": crash_loops}
    return (
        everyday(house) | calls | {"reap after a step": clock_back, "reap of all": all_lost, "take again": take_again}
    )


async def held_jobs(house: House, count: int) -> Calls:
    """All of one tenant."""
    original = (await house.queue(WIDTH + 1))[-1]
    tenant = "acme-0"
    latest = reversed(await copy_each(house.client, house.partitions, [original], count))

    async def take() -> Act:
        return lambda: house.take(WIDTH)

    async def commit_at_limit() -> Act:
        grants = await house.take(WIDTH)
        await house.client.set(house.keys.limit(tenant), await house.client.scard(house.keys.slots(tenant)))
        return lambda: house.worker.commit(PARTITION, [commit(grant, "done") for grant in grants])

    async def take_at_limit() -> Act:
        await house.client.set(house.keys.limit(tenant), 1)
        return lambda: house.take(WIDTH)

    async def turn() -> Act:
        await house.client.delete(house.keys.limit(tenant))
        return lambda: house.keeper.turn(tenant)

    async def submit() -> Act:
        return lambda: house.submit(tenant)

    calls: Calls = {
        "take": take, "submit": submit, "commit at the limit": commit_at_limit, "take at the limit": take_at_limit,
        "turn": turn, "cancel one": cancelling(house, latest), "expire a page": expiring(house, latest),
        "reconcile": reaping(house, "reconcile"),
    }  # fmt: skip
    return calls


async def full_inbox(house: House, count: int, tenants: int) -> Calls:
    originals = await house.queue(tenants, tenants=tenants)
    jobs = await copy_each(house.client, house.partitions, originals, count)
    sets = [house.keys.leases, house.keys.due, house.keys.active, house.keys.dead, f"{house.keys.root}quarantine"]

    async def take() -> Act:
        return lambda: house.take(WIDTH)

    async def survey() -> Act:
        return lambda: house.system.call("survey", [*sets, *house.inboxes()])

    return everyday(house) | {"take all": take, "survey": survey, "cancel one": cancelling(house, reversed(jobs))}


async def consumers(house: House, count: int) -> Calls:
    """In the group of one inbox."""
    inbox = house.keys.inbox(FOLLOWING, "cpu", "normal")
    async with house.client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xgroup_createconsumer(inbox, GROUP, f"{STAGE}-node-7.example-{number:08d}-4711")
        await pipeline.execute()

    at_once = Consumers(house.client, house.partitions, KernelOptions(lease_s=IMMEDIATELY_S))

    async def drop() -> Act:
        return lambda: at_once.drop(PARTITION, inbox)

    return everyday(house) | {"drop_consumers": drop}


async def children(house: House, count: int) -> Calls:
    """Of one parent, whichever is next."""

    async def parent(*, waiting: bool = True) -> str:
        (grant,) = await house.start(1, FOLLOWING)
        for first in range(1, count + 1, PAGE):
            await house.worker.spawn(PARTITION, spawn(grant, range(first, min(first + PAGE, count + 1))))
        if waiting:
            await house.worker.commit(PARTITION, [commit(grant, "split")])
        return grant.job

    await parent()

    async def spawn_more() -> Act:
        (grant,) = await house.start(1, FOLLOWING)
        await house.client.hset(house.keys.kids(grant.job), mapping=dict.fromkeys(map(str, range(1, count)), "open"))
        return lambda: house.worker.spawn(PARTITION, spawn(grant, range(count, count + PAGE)))

    async def beat() -> Act:
        beats = [Beat(grant.job, grant.fence, 5.0) for grant in await house.take(WIDTH)]
        return lambda: house.worker.beat(PARTITION, beats)

    async def commit_done() -> Act:
        commits = [commit(grant, "done") for grant in await house.take(WIDTH)]
        return lambda: house.worker.commit(PARTITION, commits)

    async def cancel() -> Act:
        job = await parent()
        return lambda: house.submitter.cancel(job, "acme")

    async def replay() -> Act:
        job = await parent()
        await house.submitter.cancel(job, "acme")
        return lambda: house.scripts.call("replay", house.keys, [house.keys.job(job)], [job, FAR_MS, "here", ""])

    async def parents_end() -> Act:
        grants = await house.start(WIDTH, FOLLOWING)
        rows: dict[Any, Any] = dict.fromkeys(range(1, count + 1), "completed 1.0123456789abcdef") | {"open": 0}
        for grant in grants:
            await house.worker.spawn(PARTITION, spawn(grant, [count]))
        async with house.client.pipeline(transaction=False) as pipeline:
            for grant in grants:
                pipeline.hset(house.keys.kids(grant.job), mapping=rows)
            await pipeline.execute()
        return lambda: house.worker.commit(PARTITION, [commit(grant, "done") for grant in grants])

    async def take_orphans() -> Act:
        return lambda: house.take(WIDTH)

    calls: Calls = {
        "spawn": spawn_more, "beat": beat, "commit": commit_done, "reconcile": reaping(house, "reconcile"),
        "fifty parents end": parents_end, "cancel the parent": cancel, "take what it left": take_orphans,
        "replay the parent": replay,
    }  # fmt: skip
    return calls
