"""Case 29 of docs/guarantees.md: a job that kills every worker it meets."""

from pathlib import Path
from typing import Any

import pytest

from actors.kernel import KernelOptions, State
from tests.kernel.cases.reaping import reaping
from tests.kernel.cases.worker_process import WorkerProcess, start_worker, starts, submit, worker_processes
from tests.kernel.stages import Installation, eventually

OPTIONS = KernelOptions(lease_s=0.5, beat_s=0.12)
BUSY = 12


@pytest.mark.heavy
async def test_case_29_poison_ends_and_its_bystanders_survive(redis_url: str, tmp_path: Path) -> None:
    """Poison (sidekiq #4633 and #4594, boringnode/queue #30): a job that killed its worker came back for ever and took
    the jobs beside it along, or was deleted without a word.

    Workers of four slots; a job that kills its process by SIGKILL whenever it starts, beside jobs that need two leases.
    Whoever crashes with it is charged, since a crash cannot say whose fault it is. From its second crash it waits in
    `alone`, so its third one takes nobody along; then it is dead with the reason, and all the others complete.
    """
    house = Installation(redis_url, OPTIONS)
    async with reaping(redis_url, OPTIONS, tmp_path, count=2), worker_processes(house, 2) as workers:
        bystanders = [await submit(house, lasts_s=1.0) for _ in range(2)]
        poison = await submit(house, kills=True)
        bystanders += [await submit(house, lasts_s=1.0) for _ in range(BUSY - 3)]

        async def is_over() -> bool:
            await _replace_the_dead(house, workers)
            # There is always more to take than there are places.
            if await house.client.zcard(house.keys.active) < BUSY:
                bystanders.append(await submit(house, lasts_s=1.0))
            return (await house.read(poison)).terminal

        await eventually(is_over, 20.0)
        for job in bystanders:
            seen = await house.until(job, State.COMPLETED, within_s=20.0)
            assert seen.attempt == 0
            assert seen.crashes <= 2
    dead = await house.read(poison)
    assert (dead.state, dead.crashes, dead.attempt) == (State.FAILED, 3, 0)
    letters: Any = await house.client.xrange(house.keys.root + "dead:a")
    ((_, letter),) = letters
    assert (letter[b"job"], letter[b"why"], letter[b"owner"]) == (poison.encode(), b"crash_loop", dead.owner.encode())
    begun = await starts(house)
    third = max(index for index, start in enumerate(begun) if start.job == poison)
    beside = {start.job for start in begun[:third] if start.pid == begun[third].pid}
    assert not beside & {start.job for start in begun[third:]} - {poison}, "the third crash took nobody along"
    await house.client.aclose()


async def _replace_the_dead(house: Installation, workers: list[WorkerProcess]) -> None:
    for worker in list(workers):
        if worker.process.returncode is not None:
            workers.remove(worker)
            workers.append(await start_worker(house, lives=False))
