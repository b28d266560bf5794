"""Publishes the jobs, a hundred at the same time. There is no call for many messages of a stream at once."""

import asyncio

import redis.asyncio
import uvloop
from tasks import GROUP, STREAMS, broker

import reporting


async def groups() -> None:
    """A group that a worker makes begins at the end of the stream, so what was published before would never be read."""
    async with redis.asyncio.from_url(reporting.REDIS) as client:
        for stream in STREAMS:
            try:
                await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


async def main() -> None:
    await groups()
    async with broker:
        if reporting.MODE == "latency":

            async def enqueue(number: int, stamp_ns: int) -> None:
                await broker.publish({"number": number, "stamp_ns": stamp_ns}, stream=STREAMS[0])

            await reporting.in_open_loop(enqueue)
        else:
            await reporting.in_bulk(lambda number: broker.publish(number, stream=STREAMS[0]))


asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main())
