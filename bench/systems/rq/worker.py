"""The worker: no fork for each job, except where a worker is killed in the middle of one."""

from typing import Any

from redis import Redis
from rq import SimpleWorker, Worker
from tasks import DEFAULT, STAGES

import reporting

QUEUES = list(STAGES) if reporting.MODE == "chain" else [DEFAULT]
# A lost job is found when its heartbeat is 60 s older than the interval, by a worker that is not waiting for a job at
# that moment: that is why the time that it waits (worker_ttl - 15 s) is short as well.
FAST = {"job_monitoring_interval": 5, "maintenance_interval": 5, "worker_ttl": 20} if reporting.FAST else {}


class Told:
    """Tells once the worker is registered, just before its first look at the queues."""

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)  # type: ignore[misc]
        reporting.ready()


class InProcess(Told, SimpleWorker):
    """For throughput: the documentation measures it at six times the default worker."""


class Forking(Told, Worker):
    """For recovery: the default worker, the only one that sends heartbeats while a job runs."""


worker = Forking if reporting.MODE == "sleep" else InProcess
worker(QUEUES, connection=Redis.from_url(reporting.REDIS), **FAST).work(logging_level="WARNING")
