"""The tasks, for both the worker and the client. A chain is the documented pattern: each task adds the next one."""

from docket import CurrentDocket, Docket

import reporting

NAME = "bench"
HERE = CurrentDocket()
# More connections than tasks at the same time, as the documentation asks for; redis-py stops at 100 by itself.
URL = f"{reporting.REDIS}?max_connections={2 * reporting.CONCURRENCY + 20}"


async def noop(number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


async def first(number: int, docket: Docket = HERE) -> int:
    reporting.COUNTER.began()
    await docket.add(second)(number)
    return number


async def second(number: int, docket: Docket = HERE) -> int:
    await docket.add(third)(number)
    return number


async def third(number: int, docket: Docket = HERE) -> int:
    await docket.add(fourth)(number)
    return number


async def fourth(number: int) -> int:
    reporting.COUNTER.ended()
    return number


async def latency(number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


async def sleep(number: int) -> int:
    await reporting.sleeping(number)
    return number


TASKS = [noop, first, second, third, fourth, latency, sleep]
