"""The worker: the command `taskiq worker` with one process. It takes uvloop where that is installed."""

import sys

from taskiq.cli.worker.cmd import WorkerCMD

import reporting

AT_ONCE = str(reporting.CONCURRENCY)

if __name__ == "__main__":
    words = ["tasks:broker", "--workers", "1", "--max-async-tasks", AT_ONCE, "--log-level", "WARNING"]
    sys.exit(WorkerCMD().exec(words))
