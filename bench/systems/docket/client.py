"""Adds the jobs, many in one pipeline."""

import time

import uvloop
from docket import Docket
from tasks import NAME, TASKS, URL, first, latency, noop, sleep

import reporting


async def main() -> None:
    async with Docket(name=NAME, url=URL) as docket:
        for task in TASKS:
            docket.register(task)
        if reporting.MODE == "latency":
            # One `add` each: it holds the key of one job, and what is added under a known key is ignored.
            await reporting.in_open_loop(lambda number, stamp_ns: docket.add(latency)(number, stamp_ns))
            return
        task = {"noop": noop, "chain": first, "sleep": sleep}[reporting.MODE]
        begun_ns = time.monotonic_ns()
        await docket.add_many(docket.call(task)(number) for number in reporting.jobs())
        reporting.submitted(begun_ns)


uvloop.run(main())
