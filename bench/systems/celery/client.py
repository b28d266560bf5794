"""Sends the jobs through one producer. There is no call for many messages at once."""

import time

import tasks
from celery import chain

import reporting


def send(number: int, producer: object) -> None:
    if reporting.MODE == "chain":
        stages = chain(tasks.first.s(number), tasks.second.s(), tasks.third.s(), tasks.fourth.s())
        stages.apply_async(producer=producer)
    else:
        task = tasks.noop if reporting.MODE == "noop" else tasks.sleep
        task.apply_async((number,), producer=producer)


with tasks.app.producer_or_acquire() as producer:
    if reporting.MODE == "latency":
        reporting.in_open_loop_here(lambda *args: tasks.latency.apply_async(args, producer=producer))
    else:
        begun_ns = time.monotonic_ns()
        for job in reporting.jobs():
            send(job, producer)
        reporting.submitted(begun_ns)
