"""The worker: what `docket worker` runs, and a word when it consumes."""

import asyncio
from datetime import timedelta

import uvloop
from docket import Docket, Worker
from tasks import NAME, TASKS, URL

import reporting

FAST = {"redelivery_timeout": timedelta(seconds=10)} if reporting.FAST else {}


async def until_known(docket: Docket, name: str) -> None:
    """A worker sends its first heartbeat once it can take tasks."""
    while True:
        if name in {each.name for each in await docket.workers()}:
            return
        await asyncio.sleep(0.005)


async def main() -> None:
    async with Docket(name=NAME, url=URL) as docket:
        for task in TASKS:
            docket.register(task)
        async with Worker(docket, concurrency=reporting.CONCURRENCY, **FAST) as worker:
            running = asyncio.create_task(worker.run_forever())
            await until_known(docket, worker.name)
            reporting.ready()
            await running


uvloop.run(main())
