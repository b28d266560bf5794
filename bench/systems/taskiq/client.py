"""Sends the jobs, a hundred at the same time. There is no call for many messages at once."""

import asyncio

import tasks
import uvloop
from taskiq_pipelines import Pipeline

import reporting


async def main() -> None:
    await tasks.broker.startup()
    if reporting.MODE == "latency":
        await reporting.in_open_loop(tasks.latency.kiq)
    elif reporting.MODE == "chain":
        chain = Pipeline(tasks.broker, tasks.first).call_next(tasks.second).call_next(tasks.third)
        await reporting.in_bulk(chain.call_next(tasks.fourth).kiq)
    elif reporting.MODE == "sleep":
        await reporting.in_bulk(tasks.sleep.kiq)
    else:
        await reporting.in_bulk(tasks.noop.kiq)
    await tasks.broker.shutdown()


asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main())
