"""A worker process of the scenarios scale and backlog: four actors whose handlers do nothing, all else as shipped.

`python -m bench.chains.worker`, with the orders in the environment. It begins when it is sent SIGUSR1, so that several
begin at the same moment, and ends by SIGTERM or when its orders are carried out. Reports:

    prepared            it waits for the signal
    total               every 20 ms in which a chain ended, and at the last: chains, first_ns (when it began), last_ns
                        (the last end), processor_ns (used since it began), takes and taken (takes that gave jobs, jobs)
    opened, closed      with `replaces`: the window of measurement, same fields
    emptied             with `replaces`: no chain is under way any more
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import uvloop

from actors.kernel import (
    Actor,
    ActorOptions,
    Done,
    Failure,
    KernelOptions,
    Next,
    Partitions,
    RedisOptions,
    Submission,
    Submitter,
    Task,
    Worker,
    connect,
)
from bench.chains.orders import INPUT, RESULT, SPEC, STAGES, Orders, following, orders
from bench.chains.tell import Tell, open_report

TOTAL_S = 0.02


class Counter:
    """What happened in this process since it began."""

    def __init__(self, tell: Tell, warm_up: int, measured: int) -> None:
        self._tell = tell
        self._opens_at, self._closes_at = warm_up, warm_up + measured
        self.started = 0
        self.ended = 0
        self.takes = 0
        self.taken = 0
        self.closed = asyncio.Event()
        self.even = asyncio.Event()
        """Every chain that started has ended."""
        self._told = 0
        self._last_ns = 0

    def begin(self) -> None:
        self._first_ns, self._processor_ns = time.monotonic_ns(), time.process_time_ns()

    def start(self) -> None:
        """In a chain's first handler."""
        self.started += 1
        self.even.clear()

    def end(self) -> None:
        """At the end of a chain's last handler."""
        self.ended += 1
        if self.ended == self.started:
            self.even.set()
        self._last_ns = time.monotonic_ns()
        if self._closes_at and self.ended == self._opens_at:
            self.say("opened")
        elif self._closes_at and self.ended == self._closes_at:
            self.say("closed")
            self.closed.set()

    def say(self, event: str) -> None:
        self._tell(
            event,
            chains=self.ended,
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            processor_ns=time.process_time_ns() - self._processor_ns,
            takes=self.takes,
            taken=self.taken,
        )

    def say_total(self) -> None:
        """Only when there is something new."""
        if self.ended > self._told:
            self._told = self.ended
            self.say("total")


class Stage:
    """The handler of one stage: does nothing and names the next stage."""

    def __init__(self, stage: str, counter: Counter, replace: Callable[[str], Awaitable[Any]] | None) -> None:
        self.stage = stage
        self._following = following(stage)
        self._counter = counter
        self._replace = replace

    async def handle(self, task: Task) -> Next | Done:
        if self.stage == STAGES[0]:
            self._counter.start()
        if self._following is not None:
            return Next(self._following, task.input)
        if self._replace is not None:
            await self._replace(task.tenant)
        self._counter.end()
        return Done(RESULT)


class NoFailures:
    """Every failure is a bug of the benchmark and ends its job."""

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        body = msgspec.json.encode({"code": "BENCH", "message": f"{stage}: {failure!r}", "attempt": attempt})
        return Failure(cls="permanent", code="BENCH", delay_ms=0, budget=1, error=body, reason=body)


def count_takes(counter: Counter) -> None:
    """Notes how much travels in one call."""
    take = Worker.take

    async def counted(worker: Worker, *arguments: Any, **options: Any) -> Any:
        taken = await take(worker, *arguments, **options)
        if taken.grants:
            counter.takes += 1
            counter.taken += len(taken.grants)
        return taken

    Worker.take = counted  # type: ignore[method-assign, assignment]


async def main(told: Orders) -> None:
    tell = open_report(told.report)
    counter = Counter(tell, told.warm_up, told.measured)
    count_takes(counter)
    options, partitions = RedisOptions(url=told.redis), Partitions(told.partitions)
    client = connect(options)
    submitter = Submitter(client, partitions, KernelOptions())

    async def replace(tenant: str) -> None:
        await submitter.submit(Submission(tenant=tenant, stage=STAGES[0], spec=SPEC, input=INPUT))

    actors = [
        Actor(
            options,
            partitions,
            KernelOptions(),
            Stage(stage, counter, replace if told.replaces else None),
            NoFailures(),
            ActorOptions(concurrency=told.concurrency),
        )
        for stage in STAGES
    ]
    begins, ends = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begins.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
    await client.ping()
    tell("prepared")
    await begins.wait()
    counter.begin()
    for actor in actors:
        await actor.start()
    telling = asyncio.create_task(_tell_totals(counter))
    if told.replaces:
        await _run_empty(counter, actors, ends)
        tell("emptied")
    else:
        await ends.wait()
    telling.cancel()
    for actor in actors:
        await actor.drain()
        await actor.stop()
    await client.aclose()


async def _tell_totals(counter: Counter) -> None:
    while True:
        await asyncio.sleep(TOTAL_S)
        counter.say_total()


async def _run_empty(counter: Counter, actors: list[Actor], ends: asyncio.Event) -> None:
    """Once the window has closed, the first stage takes nothing more; what it gave to the others ends."""
    await _first_of(counter.closed, ends)
    await actors[0].drain()
    await _first_of(counter.even, ends)


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


if __name__ == "__main__":
    # Warnings only, as a line for every stage's end would be measured too.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(main(orders()))
