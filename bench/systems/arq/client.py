"""Enqueues the jobs, a hundred at the same time. There is no call for many jobs at once."""

import asyncio

import uvloop
from arq import create_pool
from tasks import REDIS_SETTINGS

import reporting


async def main() -> None:
    pool = await create_pool(REDIS_SETTINGS)
    if reporting.MODE == "latency":
        await reporting.in_open_loop(lambda number, stamp_ns: pool.enqueue_job("latency", number, stamp_ns))
    else:
        function = "first" if reporting.MODE == "chain" else reporting.MODE
        await reporting.in_bulk(lambda number: pool.enqueue_job(function, number))
    await pool.aclose()


asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main())
