"""The application and its tasks, for both the worker and the client."""

from celery import Celery
from celery.signals import worker_ready

import reporting

PROCESSES = 2
STAGES = ("first", "second", "third", "fourth")

app = Celery("tasks", broker=reporting.REDIS, backend=reporting.REDIS)
app.conf.task_routes = {f"tasks.{stage}": {"queue": stage} for stage in STAGES}
app.conf.broker_connection_retry_on_startup = True
# One at a time where the job's length is the point, otherwise what the machine has.
app.conf.worker_concurrency = min(PROCESSES, reporting.CONCURRENCY)
if reporting.MODE != "sleep":
    app.conf.worker_prefetch_multiplier = 50
if reporting.FAST:
    app.conf.task_acks_late = True
    app.conf.worker_prefetch_multiplier = 1
    app.conf.broker_transport_options = {
        "visibility_timeout": 10,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
    }


@worker_ready.connect
def tell_ready(**_: object) -> None:
    reporting.ready()


@app.task
def noop(number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


@app.task
def first(number: int) -> int:
    reporting.COUNTER.began()
    return number


@app.task
def second(number: int) -> int:
    return number


@app.task
def third(number: int) -> int:
    return number


@app.task
def fourth(number: int) -> int:
    reporting.COUNTER.ended()
    return number


@app.task
def latency(number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


@app.task
def sleep(number: int) -> int:
    reporting.sleeping_here(number)
    return number
