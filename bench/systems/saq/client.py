"""Enqueues the jobs, a hundred at the same time. There is no call for many jobs at once."""

import asyncio

from tasks import SLEEP_OPTIONS, queue

import reporting


async def main() -> None:
    if reporting.MODE == "latency":
        await reporting.in_open_loop(
            lambda number, stamp_ns: queue.enqueue("latency", number=number, stamp_ns=stamp_ns)
        )
    elif reporting.MODE == "sleep":
        await reporting.in_bulk(lambda number: queue.enqueue("sleep", number=number, **SLEEP_OPTIONS))
    else:
        function = "first" if reporting.MODE == "chain" else "noop"
        await reporting.in_bulk(lambda number: queue.enqueue(function, number=number))
    await queue.disconnect()


asyncio.run(main())
