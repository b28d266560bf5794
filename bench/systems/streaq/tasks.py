"""The worker object and its tasks, for both the worker and the client."""

import coredis
from streaq import Worker

import reporting

coredis.Config.optimized = True
FAST = {"idle_timeout": 10} if reporting.FAST else {}

worker = Worker(redis_url=reporting.REDIS, concurrency=reporting.CONCURRENCY, anyio_kwargs={"use_uvloop": True}, **FAST)


@worker.task
async def noop(number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


@worker.task
async def first(number: int) -> int:
    reporting.COUNTER.began()
    return number


@worker.task
async def second(number: int) -> int:
    return number


@worker.task
async def third(number: int) -> int:
    return number


@worker.task
async def fourth(number: int) -> int:
    reporting.COUNTER.ended()
    return number


@worker.task
async def latency(number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


@worker.task
async def sleep(number: int) -> int:
    await reporting.sleeping(number)
    return number
