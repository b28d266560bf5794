"""The queue, the functions and the settings, for both the worker and the client."""

import asyncio
import math
from typing import Any

import uvloop
from saq import Queue

import reporting

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
queue = Queue.from_url(reporting.REDIS)

# A job is ended after 10 s unless it says otherwise.
SLEEP_OPTIONS: dict[str, Any] = {"timeout": math.ceil(reporting.SLEEP_S) + 10}
if reporting.FAST:
    SLEEP_OPTIONS |= {"heartbeat": 10, "retries": 3}
UPDATE_EVERY_S = 2.5
SWEEP_EVERY_S = 5

Context = dict[str, Any]


async def noop(_context: Context, *, number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


async def first(_context: Context, *, number: int) -> int:
    reporting.COUNTER.began()
    await queue.enqueue("second", number=number)
    return number


async def second(_context: Context, *, number: int) -> int:
    await queue.enqueue("third", number=number)
    return number


async def third(_context: Context, *, number: int) -> int:
    await queue.enqueue("fourth", number=number)
    return number


async def fourth(_context: Context, *, number: int) -> int:
    reporting.COUNTER.ended()
    return number


async def latency(_context: Context, *, number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


async def sleep(context: Context, *, number: int) -> int:
    """With a heartbeat a job has to show by itself that it lives."""
    working = asyncio.create_task(reporting.sleeping(number))
    try:
        while reporting.FAST and not (await asyncio.wait([working], timeout=UPDATE_EVERY_S))[0]:
            await context["job"].update()
        await working
    finally:
        working.cancel()
    return number


async def startup(context: Context) -> None:
    """Tells once the worker waits for its first jobs, which it does after this has returned."""

    async def tell() -> None:
        while not any(task.get_name() == "process" for task in context["worker"].tasks):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
        reporting.ready()

    context["telling"] = asyncio.create_task(tell())


settings = {
    "queue": queue,
    "functions": [noop, first, second, third, fourth, latency, sleep],
    "concurrency": reporting.CONCURRENCY,
    "startup": startup,
    "timers": {"sweep": SWEEP_EVERY_S} if reporting.FAST else None,
}
