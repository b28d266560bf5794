"""Sends the jobs. There is no call for many messages at once."""

import time

import dramatiq
import tasks

import reporting


def send(number: int) -> None:
    if reporting.MODE == "noop":
        tasks.noop.send(number)
    elif reporting.MODE == "chain":
        stages = [tasks.first.message(number), tasks.second.message(), tasks.third.message(), tasks.fourth.message()]
        dramatiq.pipeline(stages).run()
    else:
        tasks.sleep.send(number)


if reporting.MODE == "latency":
    reporting.in_open_loop_here(tasks.latency.send)
else:
    begun_ns = time.monotonic_ns()
    for job in reporting.jobs():
        send(job)
    reporting.submitted(begun_ns)
