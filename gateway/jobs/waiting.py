"""Waiting for a job without polling: the hub wakes, the job is read."""

import asyncio
from collections.abc import Callable

from actors.kernel import JobView
from gateway.http.context import Context
from gateway.streams.events import Event, Pulse
from gateway.streams.hub import job_topic


class JobWaiter:
    """A watcher that only notes that something durable happened."""

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.changed = asyncio.Event()

    def event(self, _event: Event, /) -> None:
        self.changed.set()

    def pulse(self, _pulse: Pulse, /) -> None:
        """Progress alone ends no wait."""

    def lose(self) -> None:
        self.changed.set()

    def abort(self) -> None:
        self.changed.set()


async def wait_for_job(
    context: Context, job: str, enough: Callable[[JobView], bool], within_s: float
) -> JobView | None:
    """The job once `enough` says so, or as it is after `within_s`, or when this gateway is being stopped.

    Raises UnknownJobId or StoreUnavailable.
    """
    loop = asyncio.get_running_loop()
    waiter = JobWaiter(context.partitions.of_job(job))
    ends_at_s = loop.time() + within_s
    context.hub.watch(job_topic(job), waiter)
    try:
        while True:
            waiter.changed.clear()
            view = (await context.reader.read(job)).view
            if view is None or enough(view) or context.streams.draining or loop.time() >= ends_at_s:
                return view
            try:
                async with asyncio.timeout_at(ends_at_s):
                    await waiter.changed.wait()
            except TimeoutError:
                continue
    finally:
        context.hub.forget(job_topic(job), waiter)
