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
            await reporting.in_open_loop(docket.add(latency))
            return
        task = {"noop": noop, "chain": first, "sleep": sleep}[reporting.MODE]
        begun_ns = time.monotonic_ns()
        await docket.add_many(docket.call(task)(number) for number in reporting.jobs())
        reporting.submitted(begun_ns)


uvloop.run(main())
