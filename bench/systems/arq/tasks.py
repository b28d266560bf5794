"""The functions and the settings, for both the worker and the client."""

from typing import Any

from arq.connections import RedisSettings

import reporting

REDIS_SETTINGS = RedisSettings.from_dsn(reporting.REDIS)
Context = dict[str, Any]


async def noop(_context: Context, number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


async def first(context: Context, number: int) -> int:
    reporting.COUNTER.began()
    await context["redis"].enqueue_job("second", number)
    return number


async def second(context: Context, number: int) -> int:
    await context["redis"].enqueue_job("third", number)
    return number


async def third(context: Context, number: int) -> int:
    await context["redis"].enqueue_job("fourth", number)
    return number


async def fourth(_context: Context, number: int) -> int:
    reporting.COUNTER.ended()
    return number


async def latency(_context: Context, number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


async def sleep(_context: Context, number: int) -> int:
    await reporting.sleeping(number)
    return number


FUNCTIONS = [noop, first, second, third, fourth, latency, sleep]
