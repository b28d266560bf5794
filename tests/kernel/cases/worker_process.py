"""A worker in a process of its own, for tests that stop and kill it; also the program that runs in it.

What a job does is in its spec. Each start and each early stop of a handler is written down in Redis, by the test's
program and not by the kernel, so that a test sees what happened in a process that is gone.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis.asyncio
import structlog

from actors.kernel import Done, KernelOptions, RedisOptions, Result, Submission, Task, connect
from tests.kernel.stages import Installation, Scripted, eventually

ROOT = Path(__file__).resolve().parents[3]
STARTS, STOPS = "test:starts", "test:stops"


class Work(msgspec.Struct, frozen=True):
    """What a job does."""

    lasts_s: float = 0.0
    kills: bool = False
    """Kills its worker, as a file that breaks a decoder would."""


class Start(NamedTuple):
    """One start of a handler."""

    job: str
    fence: str
    pid: int


class WorkerProcess:
    """One actor of stage `a` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL: no handler, no goodbye."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def worker_processes(
    house: Installation, count: int = 1, *, concurrency: int = 4
) -> AsyncIterator[list[WorkerProcess]]:
    """Worker processes that are ready; a test may add more to the list. All are gone afterwards."""
    workers: list[WorkerProcess] = []
    try:
        workers += await asyncio.gather(*(start_worker(house, concurrency=concurrency) for _ in range(count)))
        yield workers
    finally:
        for worker in workers:
            await worker.kill()


async def start_worker(house: Installation, *, concurrency: int = 4, lives: bool = True) -> WorkerProcess:
    """A worker that is ready, or, where it need not live for so long, one that has been killed by its first job."""
    told = json.dumps([house.redis_options.url, house.options.lease_s, house.options.beat_s, concurrency])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kernel.cases.worker_process", told,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    worker = WorkerProcess(process)
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    if line != b"ready\n":
        await worker.kill()
        assert not lives
        assert process.returncode == -signal.SIGKILL
    return worker


async def submit(house: Installation, **work: Any) -> str:
    """A job that does `work`, the fields of Work."""
    spec = msgspec.json.encode(Work(**work))
    return (await house.submitter.submit(Submission(tenant="t", stage="a", spec=spec, input=b"{}"))).job


async def starts(house: Installation) -> list[Start]:
    """Every start so far, in order."""
    return [Start(*json.loads(entry)) for entry in await house.client.lrange(STARTS, 0, -1)]


async def until_started(house: Installation, job: str, times: int = 1) -> list[Start]:
    """Every start of one job, once there are `times`."""
    found: list[Start] = []

    async def there() -> bool:
        found[:] = [start for start in await starts(house) if start.job == job]
        return len(found) >= times

    await eventually(there, why=lambda: f"{job} was started {len(found)} times, not {times}")
    return found


async def stops(house: Installation) -> list[Start]:
    """Every handler that was stopped before its end."""
    return [Start(*json.loads(entry)) for entry in await house.client.lrange(STOPS, 0, -1)]


async def _main(url: str, lease_s: float, beat_s: float, concurrency: int) -> None:
    journal: redis.asyncio.Redis = connect(RedisOptions(url=url))

    async def work(task: Task) -> Result:
        entry = json.dumps([task.job, task.fence, os.getpid()])
        asked = msgspec.json.decode(task.spec, type=Work)
        await journal.rpush(STARTS, entry)
        if asked.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            await asyncio.sleep(asked.lasts_s)
        except asyncio.CancelledError:
            await journal.rpush(STOPS, entry)
            raise
        return Done(b"{}")

    house = Installation(url, KernelOptions(lease_s=lease_s, beat_s=beat_s))
    actor = house.actor(Scripted(work), concurrency=concurrency, drain_grace_s=20.0)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await actor.start()
    await actor.ready()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stopping.wait()
    await actor.drain()
    await actor.stop()
    await house.client.aclose()
    await journal.aclose()


if __name__ == "__main__":
    # Standard output is for "ready" alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(_main(*json.loads(sys.argv[1])))
