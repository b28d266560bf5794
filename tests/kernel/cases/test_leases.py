"""Cases of leases: who may conclude what from silence, and for how long a worker holds its work."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.kernel import Done, KernelOptions, Result, State, Task
from actors.kernel.scripts import script
from tests.conftest import RedisServer
from tests.kernel.cases.hands import Hands, lose_leases
from tests.kernel.cases.reaping import reaper, reaping
from tests.kernel.cases.worker_process import start_worker, starts, submit, until_started, worker_processes
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation, Scripted, eventually, forever


@pytest.fixture
async def brief(redis_url: str) -> AsyncIterator[Installation]:
    """An installation whose leases run out while a test waits."""
    installation = Installation(redis_url, KernelOptions(lease_s=0.6, beat_s=0.15))
    yield installation
    await installation.client.aclose()


async def test_case_01_a_reaper_that_dies_in_a_pass_stops_no_other(
    brief: Installation, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Reclaim behind a lock without TTL (taskiq-redis #131): one hung reaper ended recovery for the whole fleet.

    One reaper hangs at each call of a pass, holding whatever it may hold; another one still recovers in time.
    """
    ended = await brief.submit("z")
    await brief.submitter.cancel(ended, "test")
    calls = [
        b"INFO",
        *(script(verb).digest.encode() for verb in ("promote", "reap", "expire", "retention", "reconcile")),
    ]
    proxies = [LossyProxy(redis_server.directory / f"hung{number}.sock", redis_server.socket) for number in range(6)]
    reapers = [reaper(proxy.url, brief.options, tmp_path) for proxy in proxies]
    try:
        for proxy, call, hanging in zip(proxies, calls, reapers, strict=True):
            await proxy.start()
            proxy.hang_on(call)
            await hanging.start()

        async def all_hang() -> bool:
            # So that `retention` is called again and again until its reaper hangs there.
            await brief.client.zadd(brief.keys.deadlines, {ended: 1})
            return all(proxy.hung.is_set() for proxy in proxies)

        await eventually(all_hang)
        job = await brief.submit()
        began_s = time.monotonic()
        grant = await Hands(brief).take_one()
        async with reaping(brief.redis_options.url, brief.options, tmp_path):
            await brief.until(job, State.QUEUED)
        assert time.monotonic() - began_s < 3 * brief.options.lease_s
        assert (grant.job, (await brief.read(job)).crashes) == (job, 1)
    finally:
        for proxy in proxies:
            proxy.resume()
        for hanging in reapers:
            await hanging.stop()
        for proxy in proxies:
            await proxy.stop()


async def test_case_02_rows_that_need_no_rescue_hide_no_dead_worker(house: Installation) -> None:
    """Reclaim window (docket PR #467, river PR #1318): a full batch of rows that are never rescued hid the rest."""
    hands = Hands(house)
    over = [await house.submit() for _ in range(120)]
    while grants := await hands.take():
        await asyncio.gather(*(hands.commit(grant) for grant in grants))
    healthy = [await house.submit() for _ in range(500)]
    while await hands.take():
        pass
    dead = await house.submit()
    await hands.take()
    await house.client.zadd(
        house.keys.leases, {**dict.fromkeys(over, 1), **{f"j00-x{n}": 1 for n in range(120)}, dead: 2}
    )
    reaped = [await house.reap() for _ in range(3)]
    assert [jobs for jobs in reaped if jobs] == [{dead: "requeued"}]
    assert await house.client.zcard(house.keys.leases) == len(healthy)


async def test_case_03_a_worker_never_takes_its_own_running_job(house: Installation, tmp_path: Path) -> None:
    """Self-claim (mastra #23648): a worker reclaimed the entry of the job it was running.

    Every group is destroyed again and again while the only worker runs a job of five leases and takes others, so the
    server delivers the hint of the running job to it time after time.
    """
    small = Installation(house.redis_options.url, KernelOptions(lease_s=0.4, beat_s=0.1))

    async def work(task: Task) -> Result:
        if task.job == long:
            await asyncio.sleep(5 * small.options.lease_s)
        return Done(b"{}")

    handler = Scripted(work)
    async with reaping(small.redis_options.url, small.options, tmp_path), small.running(small.actor(handler)):
        long = await small.submit()
        await small.until(long, State.RUNNING)
        shorts = []
        while (await small.read(long)).state == State.RUNNING:
            await small.client.xgroup_destroy(small.keys.inbox("a", "cpu", "normal"), "rw")
            shorts.append(await small.submit())
            await small.until(shorts[-1], State.COMPLETED)
        await small.until(long, State.COMPLETED)
    await small.client.aclose()
    assert len(shorts) > 10
    assert sorted(job for job, _ in handler.started) == sorted([long, *shorts])


async def test_case_04_a_stage_may_last_many_leases(redis_url: str, tmp_path: Path) -> None:
    """Job longer than a fixed lease (taskiq-redis #101, arq #407, river #682): a long job was started a second time,
    or a dead worker's long job only after its whole expected length.

    A stage of ten leases runs once; the same stage of a killed worker starts again within two leases.
    """
    house = Installation(redis_url, KernelOptions(lease_s=0.4, beat_s=0.1))
    async with reaping(redis_url, house.options, tmp_path), worker_processes(house, 1) as workers:
        long = await submit(house, lasts_s=10 * house.options.lease_s)
        await house.until(long, State.RUNNING)
        workers.append(await start_worker(house))
        seen = await house.until(long, State.COMPLETED)
        assert (seen.takes, len(await starts(house))) == (1, 1)
        lost = await submit(house, lasts_s=60)
        (first,) = await until_started(house, lost)
        began_s = time.monotonic()
        await next(worker for worker in workers if worker.pid == first.pid).kill()
        await until_started(house, lost, 2)
        assert time.monotonic() - began_s < 2 * house.options.lease_s
        assert (await house.read(lost)).crashes == 1
    await house.client.aclose()


@pytest.mark.heavy
async def test_case_05_beats_go_on_through_the_drain(redis_url: str, tmp_path: Path) -> None:
    """Heartbeat ends before the work (docket 0.27, celery #3653, temporal sdk-java PR #2903): a worker that was told to
    stop let its leases run out while it finished its jobs, and each ran twice.

    Workers are told to stop one after another while stages last one to three leases: every job starts once.
    """
    house = Installation(redis_url, KernelOptions(lease_s=0.5, beat_s=0.12))
    chance = random.Random(5)
    async with reaping(redis_url, house.options, tmp_path), worker_processes(house, 3, concurrency=3) as workers:
        jobs: list[str] = []
        for number in range(4):
            jobs += [await submit(house, lasts_s=house.options.lease_s * chance.uniform(1, 3)) for _ in range(5)]
            await house.until(jobs[-1], State.RUNNING, State.COMPLETED)
            workers[number].signal(signal.SIGTERM)
            if number < 2:
                workers.append(await start_worker(house, concurrency=3))
        for job in jobs:
            seen = await house.until(job, State.COMPLETED)
            assert (seen.takes, seen.crashes, seen.attempt) == (1, 0, 0)
        assert sorted(start.job for start in await starts(house)) == sorted(jobs)
        for worker in workers[:4]:
            assert await asyncio.wait_for(worker.process.wait(), 10) == 0
    await house.client.aclose()


async def test_case_09_a_job_that_stands_still_frees_its_place(brief: Installation) -> None:
    """Heartbeat proves the process, not the job (asynq #1089, river PR #1291): beats of a live process kept a dead job
    alive for ever. Here the job's own progress is watched; beats go on meanwhile, so nobody else starts it."""

    async def work(task: Task) -> Result:
        return Done(b"{}") if task.job == following else await forever(task)

    following = ""
    handler = Scripted(work)
    async with brief.running(brief.actor(handler, concurrency=1, stall_timeout_s=0.8)):
        standing = await brief.submit()
        await brief.until(standing, State.RUNNING)
        following = await brief.submit()
        while (await brief.read(standing)).state == State.RUNNING:
            assert await brief.reap() == {}
            await asyncio.sleep(0.02)
        await brief.until(following, State.COMPLETED)
    seen = await brief.read(standing)
    assert (seen.state, seen.attempt, seen.crashes, len(handler.started)) == (State.DELAYED, 1, 0, 2)


async def test_case_13_a_name_that_comes_back_inherits_nothing(house: Installation) -> None:
    """Consumer identity reused (oban #862): a restarted worker of the same name made its predecessor's jobs look alive.

    Here a name decides nothing: only the fence does. Actors besides never use a name again.
    """
    before = Hands(house, "same-name")
    old = await house.submit()
    grant = await before.take_one()
    after = Hands(house, "same-name")
    new = await house.submit()
    (fresh,) = await after.take()
    assert fresh.job == new
    await after.beat(fresh)
    assert await lose_leases(house, old) == {old: "requeued"}
    assert (await house.read(new)).state == State.RUNNING
    again = await after.take_one()
    assert (again.job, again.fence != grant.fence) == (old, True)
    names = set()
    for _ in range(3):
        async with house.running(house.actor(Scripted(forever), kill_grace_s=0.1)):
            job = await house.submit()
            names.add((await house.until(job, State.RUNNING)).owner)
            await house.submitter.cancel(job, "test")
    assert len(names) == 3
