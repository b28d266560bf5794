"""Reads jobs for watchers: many at once become few calls, so that a storm of watchers stays a trickle at Redis."""

import asyncio
from typing import NamedTuple

import msgspec
import redis.asyncio

from actors.kernel.connection import persist
from actors.kernel.keys import Partitions
from actors.kernel.views import JobView, LogEntry, view
from gateway.streams.events import NO_EPOCH, Event

READ_TOGETHER = 32
PATIENCE_S = 3.0

_entry = msgspec.json.Decoder(LogEntry)


class Reading(NamedTuple):
    """A job at one moment, and its durable events as they stood right after; `epoch` None: the feed is lost."""

    view: JobView | None
    log: tuple[Event, ...]
    epoch: str | None


class JobReader:
    """Answers each `read` from a call that began after it was asked for, so that who registers first misses nothing.

    Reads of one job that wait at the same moment are one read; those of one partition travel together.
    """

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions) -> None:
        self._client = client
        self._partitions = partitions
        self._waiting: dict[str, dict[str, asyncio.Future[Reading]]] = {partition: {} for partition in partitions}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.calls = 0
        """Calls sent to Redis since the start."""

    async def read(self, job: str) -> Reading:
        """The job, its events and the epoch. Raises UnknownJobId or StoreUnavailable."""
        partition = self._partitions.of_job(job)
        waiting = self._waiting[partition]
        if job not in waiting:
            waiting[job] = asyncio.get_running_loop().create_future()
        future = waiting[job]
        if partition not in self._tasks:
            self._tasks[partition] = asyncio.create_task(self._serve(partition))
        return await asyncio.shield(future)

    async def _serve(self, partition: str) -> None:
        waiting = self._waiting[partition]
        try:
            while waiting:
                batch = {job: waiting.pop(job) for job in tuple(waiting)[:READ_TOGETHER]}
                await self._answer(partition, batch)
        finally:
            del self._tasks[partition]

    async def _answer(self, partition: str, batch: dict[str, asyncio.Future[Reading]]) -> None:
        try:
            readings = await persist(lambda: self._read(partition, tuple(batch)), patience_s=PATIENCE_S)
        except BaseException as error:
            # Who came meanwhile would only find the same.
            waiting = self._waiting[partition]
            batch |= waiting
            waiting.clear()
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # a waiter that has gone does not make this a lost exception
            if not isinstance(error, Exception):
                raise
            return
        for future, reading in zip(batch.values(), readings, strict=True):
            future.set_result(reading)

    async def _read(self, partition: str, jobs: tuple[str, ...]) -> list[Reading]:
        self.calls += 1
        keys = self._partitions.keys(partition)
        # The log is read after the hash, so it reaches at least as far.
        async with self._client.pipeline(transaction=False) as pipeline:
            for job in jobs:
                pipeline.hgetall(keys.job(job))
                pipeline.lrange(keys.log(job), 0, -1)
            pipeline.get(keys.epoch)
            replies = await pipeline.execute()
        epoch = replies[-1].decode() if replies[-1] else None
        return [
            _reading(partition, job, replies[2 * place], replies[2 * place + 1], epoch)
            for place, job in enumerate(jobs)
        ]


def _reading(partition: str, job: str, fields: dict[bytes, bytes], entries: list[bytes], epoch: str | None) -> Reading:
    if not fields:
        return Reading(None, (), epoch)
    known = view(job, {name.decode(): value for name, value in fields.items()})
    log = tuple(_event(partition, epoch, known.tenant, entry) for entry in entries)
    return Reading(known, log, epoch)


def _event(partition: str, epoch: str | None, tenant: str, data: bytes) -> Event:
    entry = _entry.decode(data)
    return Event(
        partition=partition,
        epoch=epoch or NO_EPOCH,
        entry=entry.id,
        type=entry.type,
        job=entry.job,
        tenant=tenant,
        rev=entry.rev,
        at_ms=entry.at,
        data=bytes(entry.data),
    )
