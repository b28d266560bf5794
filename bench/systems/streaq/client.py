"""Enqueues the jobs: many in one pipeline, but a chain by itself, for the bulk call does not take chains."""

import time

import anyio
import tasks

import reporting

AT_ONCE = 1000


async def chain(number: int) -> None:
    await tasks.first.enqueue(number).then(tasks.second).then(tasks.third).then(tasks.fourth)


async def enqueue(number: int, stamp_ns: int) -> None:
    await tasks.latency.enqueue(number, stamp_ns)


async def in_bulk() -> None:
    task = tasks.noop if reporting.MODE == "noop" else tasks.sleep
    begun_ns = time.monotonic_ns()
    numbers = list(reporting.jobs())
    for start in range(0, len(numbers), AT_ONCE):
        await tasks.worker.enqueue_many([task.enqueue(number) for number in numbers[start : start + AT_ONCE]])
    reporting.submitted(begun_ns)


async def main() -> None:
    async with tasks.worker:
        if reporting.MODE == "latency":
            await reporting.in_open_loop(enqueue)
        elif reporting.MODE == "chain":
            await reporting.in_bulk(chain)
        else:
            await in_bulk()


anyio.run(main, backend=tasks.worker.anyio_backend, backend_options=tasks.worker.anyio_kwargs)
