"""Enqueues the jobs, many in one pipeline; the stages of many chains at once, each job depending on the one before."""

import time
from collections.abc import Sequence

import tasks
from redis import Redis
from rq import Queue, Retry
from rq.job import Job

import reporting

AT_ONCE = 500
CONNECTION = Redis.from_url(reporting.REDIS)
# Without it a lost job is recorded as failed and not run again.
AGAIN = Retry(max=3) if reporting.FAST else None


def enqueue(numbers: Sequence[int]) -> None:
    function = tasks.noop if reporting.MODE == "noop" else tasks.sleep
    jobs = [Queue.prepare_data(function, (number,), retry=AGAIN) for number in numbers]
    Queue(tasks.DEFAULT, connection=CONNECTION).enqueue_many(jobs)


def enqueue_chains(numbers: Sequence[int]) -> None:
    before: list[Job | None] = [None] * len(numbers)
    for stage in tasks.STAGES:
        function = getattr(tasks, stage)
        jobs = [
            Queue.prepare_data(function, (number,), depends_on=earlier)
            for number, earlier in zip(numbers, before, strict=True)
        ]
        before = [*Queue(stage, connection=CONNECTION).enqueue_many(jobs)]


if reporting.MODE == "latency":
    queue = Queue(tasks.DEFAULT, connection=CONNECTION)
    reporting.in_open_loop_here(lambda number, stamp_ns: queue.enqueue(tasks.latency, number, stamp_ns))
else:
    enqueue_some = enqueue_chains if reporting.MODE == "chain" else enqueue
    begun_ns = time.monotonic_ns()
    every = reporting.jobs()
    for start in range(0, len(every), AT_ONCE):
        enqueue_some(every[start : start + AT_ONCE])
    reporting.submitted(begun_ns)
