"""Workers and reapers as processes of their own, one of which is killed again and again."""

import asyncio
import itertools
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from actors.kernel import Keeper, KernelOptions, Partitions, RedisOptions, Submission, Submitter, connect, read_job
from actors.kernel.keys import Priority
from actors.kernel.scripts import text
from bench import reaper
from bench.bodies import SMALL
from bench.sleeping_worker import STAGE

WORKERS, SLOTS, REAPERS = 3, 4, 2
LIMIT = 6
"""Slots of the tenant that is limited: fewer than all workers have."""
CROWD_S = 1.0
"""Length of the stages of the crowd."""
CROWD_JOBS = 4
"""Jobs of each tenant in the crowd."""
TENANT = "measured"
POLL_S = 0.02
PATIENCE_S = 90.0
Process = asyncio.subprocess.Process


class Lost(msgspec.Struct, frozen=True):
    """A job whose worker was killed."""

    job: str
    takes: int


class Yard:
    """One installation of one partition, with default settings."""

    def __init__(self, url: str, folder: Path, chance: random.Random) -> None:
        self._url = url
        self._folder = folder
        self._chance = chance
        self._client = connect(RedisOptions(url=url))
        self._partitions = Partitions(1)
        self._keys = self._partitions.keys("00")
        self._submitter = Submitter(self._client, self._partitions, KernelOptions())
        self._keeper = Keeper(self._client, self._partitions, KernelOptions())
        self._workers: dict[str, Process] = {}
        """Worker name to its process."""
        self._processes: list[Process] = []
        self._tenants = itertools.count()
        self._ports: list[int] = []

    async def start(self) -> None:
        async with asyncio.TaskGroup() as starting:
            for _ in range(WORKERS):
                starting.create_task(self._start_worker())
            for _ in range(REAPERS):
                starting.create_task(self._start_reaper())

    async def stop(self) -> None:
        """Ends every process, those too that were only about to be ready."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await self._client.aclose()

    async def set_limit(self, limit: int) -> None:
        await self._keeper.set_limit(TENANT, limit)

    async def submit(
        self,
        jobs: int,
        stage_s: float,
        tenant: Callable[[int], str] = lambda _: TENANT,
        priority: Priority = "normal",
    ) -> None:
        numbers = iter(range(jobs))

        async def send() -> None:
            for number in numbers:
                body = msgspec.json.encode(stage_s)
                submission = Submission(tenant=tenant(number), stage=STAGE, spec=SMALL, input=body, priority=priority)
                await self._submitter.submit(submission)

        await asyncio.gather(*(send() for _ in range(16)))

    async def submit_crowd(self, jobs: int) -> None:
        """So many tenants that all of their jobs lie in the inbox and none is held."""
        await self.submit(jobs, CROWD_S, lambda number: f"tenant-{number // CROWD_JOBS}")

    async def waiting(self) -> int:
        """Unfinished jobs that do not run."""
        return int(await self._client.zcard(self._keys.active)) - int(await self._client.zcard(self._keys.leases))

    async def until_reapers_may_reap(self) -> None:
        for port in self._ports:
            await _until(lambda port=port: asyncio.to_thread(reaper.may_reap, port), "the reapers do not watch")  # type: ignore[misc]

    async def kill_one(self, stage_s: float) -> list[float]:
        """Kills a worker that holds jobs for the first time; returns how long each of them stood still, in seconds."""
        await self._top_up(stage_s)
        await asyncio.sleep(self._chance.uniform(0.0, min(stage_s, KernelOptions().beat_s)))
        holders = sorted({owner for owner, _ in await self._held(stage_s)})
        while not holders:
            await self._top_up(stage_s)
            holders = sorted({owner for owner, _ in await self._held(stage_s)})
        name = self._chance.choice(holders)
        victim = self._workers.pop(name)
        killed_ms = await self._keeper.server_time_ms()
        victim.kill()
        await victim.wait()
        lost = [held for owner, held in await self._held() if owner == name]
        async with asyncio.TaskGroup() as replacing:
            replacing.create_task(self._start_worker())
            standstills_s = [(await self._restarted_ms(each) - killed_ms) / 1000 for each in lost]
        for each in lost:
            # Twice lost it would wait for a worker of its own, which is another case.
            await self._submitter.cancel(each.job, "benchmark")
        return standstills_s or await self.kill_one(stage_s)

    async def _top_up(self, stage_s: float) -> None:
        """At least one job of the measured length runs; those that are added pass a crowd: a new tenant, in a hurry."""
        held = await self._held(stage_s)
        if (len(held) < LIMIT and await self.waiting() == 0) or not held:
            tenant = f"{TENANT}-{next(self._tenants)}"
            await self.submit(SLOTS, stage_s, lambda _: tenant, priority="high")

        async def running() -> bool:
            return bool(await self._held(stage_s))

        await _until(running, "no job of the measured length runs")

    async def _held(self, stage_s: float | None = None) -> list[tuple[str, Lost]]:
        """Owner and job of every lease that was never lost; with `stage_s` only of stages of that length."""
        found = []
        for job in await self._client.zrange(self._keys.leases, 0, -1):
            view = await read_job(self._client, self._partitions, text(job))
            if view is None or view.state != "running" or view.crashes:
                continue
            if stage_s is None or msgspec.json.decode(view.input, type=float) == stage_s:
                found.append((view.owner, Lost(view.job, view.takes)))
        return found

    async def _restarted_ms(self, lost: Lost) -> int:
        """Server time at which another worker took the job."""
        moment: list[int] = []

        async def restarted() -> bool:
            view = await read_job(self._client, self._partitions, lost.job)
            if view is not None and view.takes > lost.takes and view.started_at_ms is not None:
                moment.append(view.started_at_ms)
            return bool(moment)

        await _until(restarted, f"{lost.job} was not started again")
        return moment[0]

    async def _start_worker(self) -> None:
        process, said = await self._spawn(["-m", "bench.sleeping_worker", self._url, str(SLOTS)], {})
        self._workers[said.split()[1]] = process

    async def _start_reaper(self) -> None:
        port = reaper.free_port()
        environ = reaper.environ(self._url, str(self._folder), port)
        await self._spawn(["-c", reaper.PROGRAM], environ)
        self._ports.append(port)

    async def _spawn(self, arguments: list[str], environ: dict[str, str]) -> tuple[Process, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
        with (self._folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, env=kept | environ, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        self._processes.append(process)
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
        if not said.startswith("ready"):
            raise RuntimeError((self._folder / "log").read_text("utf-8"))
        return process, said


async def _until(condition: Callable[[], Awaitable[bool]], why: str) -> None:
    gives_up_at = time.monotonic() + PATIENCE_S
    while not await condition():
        if time.monotonic() > gives_up_at:
            raise RuntimeError(why)
        await asyncio.sleep(POLL_S)
