"""The scripted actor's process before a real Redis, with nobody disturbing it: each shape ends as its plan allows."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.kernel import JobView, KernelOptions, Submission
from actors.media.task import decode
from tests.conftest import RedisServer
from tests.faults.history import ExecutionEnded, ExecutionStarted, read_history
from tests.faults.house.environment import FOLDER_VARIABLE
from tests.faults.house.times import BEAT_S, CRASH_BUDGET, ERROR_BUDGET, LEASE_S, STALL_S
from tests.faults.load.bodies import FIRST_INPUT, STAGES, ScriptedResult, spec_of
from tests.faults.load.ends import natural_end
from tests.faults.plan import Errs, Hangs, Kills, Refuses, Splits, Step, Works
from tests.kernel.stages import Installation, eventually

READY_S, ENDED_S = 15.0, 15.0
Steps = tuple[Step, ...]
CHAIN: Steps = (Works(),) * 4
MIXED = (CHAIN, (Works(lasts_s=0.1),), (Errs(times=1),))
BROKEN = (*MIXED, (Refuses(),))

UNDISTURBED: dict[str, Steps] = {
    "chain": CHAIN,
    "longest chain": (Works(),) * 5,
    "one step": (Works(lasts_s=0.05, reports=2),),
    "long": (Works(), Works(lasts_s=LEASE_S * 1.5, reports=6)),
    "flaky": (Errs(times=2), Works()),
    "hopeless": (Works(), Errs(times=ERROR_BUDGET)),
    "refused": (Works(), Refuses()),
    "hanging": (Hangs(times=1), Works()),
    "family": (Works(), Splits(children=MIXED), Works()),
    "family that bears a failure": (Splits(children=BROKEN), Works()),
    "family that does not": (Splits(children=BROKEN, on_child_failure="fail"), Works()),
    "batch": (Splits(children=((Works(),),) * 60, listed=True), Works()),
    "deep family": (Splits(children=((Splits(children=MIXED), Works()), CHAIN)), Works()),
}
POISON: dict[str, Steps] = {
    "poison, survived": (Works(), Kills(times=1), Works()),
    "poison": (Kills(times=CRASH_BUDGET),),
}


class Scene:
    """One server and one scripted actor's process, which is started again whenever it ends; a reaper in the test."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.installation = Installation(server.url, KernelOptions(lease_s=LEASE_S, beat_s=BEAT_S))
        self.folder = folder
        self.statuses: list[int] = []
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")},
            FOLDER_VARIABLE: str(folder),
            "REELWAY_REDIS_URL": server.url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(folder / "data"),
            "REELWAY_KERNEL_LEASE_S": str(LEASE_S),
            "REELWAY_KERNEL_BEAT_S": str(BEAT_S),
        }

    async def start(self) -> asyncio.subprocess.Process:
        with (self.folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.load.scripted_actor",
                env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), READY_S)
        # What it took first may have killed it already.
        assert said in (b"ready\n", b""), (self.folder / "log").read_text()
        return process

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._restart()), asyncio.create_task(self._keep_order())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _restart(self) -> None:
        while True:
            process = await self.start()
            try:
                self.statuses.append(await process.wait())
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                    self.statuses.append(await asyncio.wait_for(process.wait(), READY_S))

    async def _keep_order(self) -> None:
        keeper = self.installation.keeper
        cursor, heard_ms = "0", await keeper.server_time_ms()
        while True:
            await keeper.promote("00")
            heard_ms = (await keeper.reap("00", heard_ms)).now_ms
            cursor, _ = await keeper.reconcile("00", cursor)
            await asyncio.sleep(0.05)

    async def submit(self, name: str, steps: Steps) -> str:
        submission = Submission(tenant="many", stage=STAGES[0], spec=spec_of(name, steps), input=FIRST_INPUT)
        return (await self.installation.submitter.submit(submission)).job

    async def until_ended(self, jobs: dict[str, str]) -> dict[str, JobView]:
        """The jobs by their names, once all are terminal."""
        views: dict[str, JobView] = {}

        async def ended() -> bool:
            views.update({name: await self.installation.read(job) for name, job in jobs.items() if name not in views})
            for name in [name for name, view in views.items() if not view.terminal]:
                del views[name]
            return len(views) == len(jobs)

        await eventually(ended, ENDED_S, lambda: f"{jobs.keys() - views.keys()}: {(self.folder / 'log').read_text()}")
        return views

    def started(self) -> list[ExecutionStarted]:
        return [event for event in read_history(self.folder) if isinstance(event, ExecutionStarted)]

    def ended(self) -> list[ExecutionEnded]:
        return [event for event in read_history(self.folder) if isinstance(event, ExecutionEnded)]


@pytest.fixture
async def scene(redis_url: str, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(redis_server, tmp_path)
    yield made
    await made.installation.client.aclose()


async def test_every_shape_ends_as_planned_and_leaves_its_chain(scene: Scene) -> None:
    async with scene.running():
        jobs = {name: await scene.submit(name, steps) for name, steps in UNDISTURBED.items()}
        views = await scene.until_ended(jobs)
    for name, steps in UNDISTURBED.items():
        view = views[name]
        assert view.state == natural_end(steps), (name, view)
        if view.state == "completed":
            assert view.result is not None
            chain = decode(ScriptedResult, view.result).fences
            done = [
                (event.stage, event.fence)
                for event in scene.ended()
                if event.job == view.job and event.how in ("done", "split")
            ]
            assert done == list(zip(STAGES, chain, strict=False)), name
            assert len(chain) == len(steps)
    assert scene.statuses == [0], "SIGTERM drains and ends well"
    # Every execution that began has ended, once, and each as its step says.
    begun = Counter((event.job, event.stage, event.fence) for event in scene.started())
    assert begun == Counter((event.job, event.stage, event.fence) for event in scene.ended())
    assert set(begun.values()) == {1}
    assert [event.how for event in scene.ended() if event.job == jobs["flaky"]] == ["error", "error", "done", "done"]
    assert [event.how for event in scene.ended() if event.job == jobs["hopeless"]] == [
        "done",
        *["error"] * ERROR_BUDGET,
    ]
    assert [event.how for event in scene.ended() if event.job == jobs["refused"]] == ["done", "refused"]
    stopped = [event for event in scene.ended() if event.how == "stopped"]
    assert [event.job for event in stopped if event.job == jobs["hanging"]] == [jobs["hanging"]]
    began = next(event for event in scene.started() if event.job == jobs["hanging"])
    assert stopped[0].at_s - began.at_s >= STALL_S * 0.9
    assert "scripted.broken_promise" not in (scene.folder / "log").read_text()


async def test_poison_costs_its_workers_and_nothing_else(scene: Scene) -> None:
    async with scene.running():
        jobs = {name: await scene.submit(name, steps) for name, steps in POISON.items()}
        views = await scene.until_ended(jobs)
    assert {name: view.state for name, view in views.items()} == {
        name: natural_end(steps) for name, steps in POISON.items()
    }
    kills = Counter(event.job for event in scene.ended() if event.how == "kills")
    # Each may have been charged for the other, which worked beside it.
    assert views["poison"].crashes == CRASH_BUDGET
    assert 1 <= kills[jobs["poison"]] <= CRASH_BUDGET
    assert kills[jobs["poison, survived"]] <= 1
    assert scene.statuses.count(-signal.SIGKILL) == kills.total()
