"""The worker: the command `celery worker` under a name of its own."""

import os

from tasks import STAGES, app

import reporting

QUEUES = STAGES if reporting.MODE == "chain" else (app.conf.task_default_queue,)

app.worker_main(
    [
        *("worker", "--loglevel", "WARNING", "--pool", "prefork"),
        *("--hostname", f"bench-{os.getpid()}@%h", "--queues", ",".join(QUEUES)),
    ]
)
