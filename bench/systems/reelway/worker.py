"""Reelway at work: actors in one process. `python -m bench.systems.reelway.worker [queued]`, settings in BENCH.

With `queued`, and where batches are counted, every stage goes through its inbox, as where each has a process of its
own. All that is on by default is on. With `sleep` a reaper runs beside the worker, in a process of its own as
everywhere.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time

import msgspec
import structlog
import uvloop

from actors.kernel import (
    Actor,
    ActorOptions,
    Done,
    Handler,
    Neighbours,
    Next,
    Partitions,
    RedisOptions,
    Task,
    end_tasks,
)
from bench.systems.process import Settings
from bench.systems.reelway.batches import VARIANT, Batches
from bench.systems.reelway.reaper import Reaper
from bench.systems.reelway.situation import (
    AT_ONCE,
    OPTIONS,
    QUEUED,
    Count,
    NoFailures,
    Report,
    read_settings,
    stages_of,
)


class Nothing:
    """Does nothing and names the next stage."""

    def __init__(self, stages: tuple[str, ...], position: int, count: Count) -> None:
        self.stage = stages[position]
        self._following = stages[position + 1] if position + 1 < len(stages) else None
        self._begin = count.begin if position == 0 else None
        self._end = count.end

    async def handle(self, task: Task) -> Next | Done:
        if self._begin is not None:
            self._begin()
        if self._following is not None:
            return Next(self._following, task.input)
        self._end()
        return Done(task.input)


class Stopwatch:
    """Says how long each job waited for its start."""

    def __init__(self, stage: str, report: Report) -> None:
        self.stage = stage
        self._report = report

    async def handle(self, task: Task) -> Done:
        at_ns = time.monotonic_ns()
        number, submitted_ns = msgspec.json.decode(task.input, type=tuple[int, int])
        self._report.say("started", job=number, at_ns=at_ns, latency_ns=at_ns - submitted_ns)
        return Done(task.input)


class Sleep:
    """Says when each job starts and when it is done."""

    def __init__(self, stage: str, report: Report, sleep_s: float) -> None:
        self.stage = stage
        self._report = report
        self._sleep_s = sleep_s

    async def handle(self, task: Task) -> Done:
        number = msgspec.json.decode(task.input, type=int)
        self._report.say("started", job=number, at_ns=time.monotonic_ns(), process=os.getpid())
        await asyncio.sleep(self._sleep_s)
        self._report.say("finished", job=number, at_ns=time.monotonic_ns(), process=os.getpid())
        return Done(task.input)


async def main(settings: Settings, *, queued: bool) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), cache_logger_on_first_use=True
    )
    report = Report(settings.report)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    count, batches = Count(report, settings.jobs), Batches()
    if settings.variant == VARIANT:
        batches.count()
    options = ActorOptions(
        concurrency=AT_ONCE if settings.mode in ("noop", "chain") else settings.concurrency,
        stall_timeout_s=max(60.0, 2 * settings.sleep_s),
        drain_grace_s=0.0,
    )
    connection, partitions = RedisOptions(url=settings.redis), Partitions(settings.partitions)
    neighbours = None if queued or settings.variant == VARIANT else Neighbours()
    actors = [
        Actor(connection, partitions, OPTIONS, handler, NoFailures(), options, neighbours=neighbours)
        for handler in _handlers(settings, report, count)
    ]
    counting = asyncio.create_task(_say_counts(count))
    async with contextlib.AsyncExitStack() as stack:
        if settings.mode == "sleep":
            reaper = await stack.enter_async_context(Reaper(settings))
            await reaper.watching()
        for actor in actors:
            await actor.start()
            stack.push_async_callback(actor.stop)
        for actor in actors:
            await actor.ready()
        report.say("ready", pid=os.getpid())
        await ending.wait()
        await end_tasks([counting])
    if settings.variant == VARIANT:
        batches.say(report)


def _handlers(settings: Settings, report: Report, count: Count) -> list[Handler]:
    stages = stages_of(settings)
    if settings.mode == "latency":
        return [Stopwatch(stages[0], report)]
    if settings.mode == "sleep":
        return [Sleep(stages[0], report, settings.sleep_s)]
    return [Nothing(stages, position, count) for position in range(len(stages))]


async def _say_counts(count: Count) -> None:
    while True:
        await asyncio.sleep(Count.TICK_S)
        count.say()


if __name__ == "__main__":
    uvloop.run(main(read_settings(), queued=sys.argv[1:] == [QUEUED]))
