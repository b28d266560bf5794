"""What an actor spends on many jobs, counted in calls and wakings, not in time."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from actors.kernel import Actor, Commit, Done, End, KernelOptions, Result, State, Task, Worker
from actors.kernel.execution import Execution
from actors.kernel.items import Pulse
from tests.kernel.stages import Installation, Scripted, done, eventually, forever


async def test_what_one_take_granted_and_ends_at_once_is_committed_in_one_call(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    commit = Worker.commit

    async def counted(worker: Worker, partition: str, commits: Sequence[Commit]) -> list[End]:
        calls.append(len(commits))
        return await commit(worker, partition, commits)

    monkeypatch.setattr(Worker, "commit", counted)
    waiting = Installation(house.redis_options.url, KernelOptions(window=30))
    jobs = [await waiting.submit() for _ in range(30)]
    async with waiting.running(waiting.actor(Scripted(done), concurrency=40)):
        for job in jobs:
            await waiting.until(job, State.COMPLETED)
    await waiting.client.aclose()
    assert calls == [30]


async def test_a_handler_begins_before_the_next_take_is_sent(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    take = Worker.take

    async def noted(*arguments: Any, **options: Any) -> Any:
        happened.append("take")
        return await take(*arguments, **options)

    async def work(task: Task) -> Result:
        happened.append("handler")
        return Done(b"{}")

    monkeypatch.setattr(Worker, "take", noted)
    job = await house.submit()
    async with house.running(house.actor(Scripted(work))):
        await house.until(job, State.COMPLETED)
    assert happened[:2] == ["take", "handler"]


class Closed(dict[Task, Execution]):
    """Can be asked for one job, and not for all of them."""

    def __iter__(self) -> Iterator[Task]:
        raise AssertionError("a pulse concerns one job")

    def values(self) -> Any:
        raise AssertionError("a pulse concerns one job")

    items = keys = values


async def test_a_pulse_reaches_its_job_without_a_look_at_the_others(house: Installation) -> None:
    actor = house.actor(Scripted(forever), concurrency=3)
    async with house.running(actor):
        jobs = [await house.submit() for _ in range(3)]
        for job in jobs:
            await house.until(job, State.RUNNING)
        await eventually(lambda: _is(actor.running == 3))
        running = actor._running
        (task,) = [task for task in running if task.job == jobs[1]]
        unknown = Task(task.grant, lambda _: None, task._family)
        actor._running = Closed(running)
        actor._on_pulses([(unknown, Pulse.CANCEL), (task, Pulse.CANCEL)])
        stopped = {each.job for each in running if each.cancelled.is_set()}
        actor._running = running
        assert stopped == {jobs[1]}


async def test_beats_wake_the_actor_only_when_they_say_something(house: Installation) -> None:
    told: list[Pulse] = []
    actor = house.actor(Scripted(forever))
    on_pulses: Callable[[Sequence[tuple[Task, Pulse]]], None] = actor._on_pulses

    def noted(pulses: Sequence[tuple[Task, Pulse]]) -> None:
        told.extend(pulse for _, pulse in pulses)
        on_pulses(pulses)

    actor._on_pulses = noted  # type: ignore[method-assign]
    async with house.running(actor):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        await asyncio.sleep(house.options.beat_s * 4)
        assert told == []
        await house.submitter.cancel(job, "ann")
        await house.until(job, State.CANCELLED)
        assert set(told) == {Pulse.CANCEL}


async def _is(true: bool) -> bool:
    return true


async def test_an_actor_that_is_stopped_leaves_no_task_behind(house: Installation) -> None:
    before = asyncio.all_tasks()
    actors: list[Actor] = [house.actor(Scripted(forever)), house.actor(Scripted(done, "b"))]
    async with house.running(*actors):
        await house.until(await house.submit(), State.RUNNING)
        await house.until(await house.submit("b"), State.COMPLETED)
    assert asyncio.all_tasks() == before
