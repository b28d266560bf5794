"""The worker: what the command `arq` runs, without its log of every job."""

import asyncio
from typing import Any

import uvloop
from arq import run_worker
from tasks import FUNCTIONS, REDIS_SETTINGS

import reporting

# The shortest time limit that lets a job end; what a lost worker held is free again 10 s after that limit.
FAST = {"poll_delay": 0.01, "job_timeout": reporting.SLEEP_S + 5} if reporting.FAST else {}


async def startup(_context: dict[str, Any]) -> None:
    """Called when the connection is there, just before the first look at the queue."""
    reporting.ready()


class WorkerSettings:
    functions = FUNCTIONS
    redis_settings = REDIS_SETTINGS
    on_startup = startup
    max_jobs = reporting.CONCURRENCY


asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
run_worker(WorkerSettings, **FAST)
