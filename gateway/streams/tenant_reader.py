"""Reads the newest jobs of a tenant for watchers: those who wait at the same moment are answered by one reading."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import redis.asyncio

from actors.kernel import JobView, Partitions, list_jobs, persist
from gateway.jobs.rendering import JobsPage, job_document
from gateway.jobs.tags import tags_in
from gateway.streams.reader import PATIENCE_S

NEWEST = 100


class TenantReading(NamedTuple):
    """The newest jobs, newest first, and as a page of `GET /v1/jobs`, which all who waited for it are sent."""

    views: Sequence[JobView]
    document: bytes


class TenantReader:
    """Answers each `read` from a reading that began after it was asked for: who registers first misses nothing."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, retention_s: float) -> None:
        self._client = client
        self._partitions = partitions
        self._retention_s = retention_s
        self._waiting: dict[tuple[str, str | None], asyncio.Future[TenantReading]] = {}
        self._tasks: dict[tuple[str, str | None], asyncio.Task[None]] = {}
        self.readings = 0

    async def read(self, tenant: str, tag: str | None) -> TenantReading:
        """The newest 100 jobs, of those with `tag` where one is given. Raises StoreUnavailable."""
        asked = (tenant, tag)
        if asked not in self._waiting:
            self._waiting[asked] = asyncio.get_running_loop().create_future()
        future = self._waiting[asked]
        if asked not in self._tasks:
            self._tasks[asked] = asyncio.create_task(self._serve(asked))
        return await asyncio.shield(future)

    async def _serve(self, asked: tuple[str, str | None]) -> None:
        try:
            while (future := self._waiting.pop(asked, None)) is not None:
                try:
                    future.set_result(await persist(lambda: self._read(*asked), patience_s=PATIENCE_S))
                except BaseException as error:
                    future.set_exception(error)
                    future.exception()  # a waiter that has gone does not make this a lost exception
                    if not isinstance(error, Exception):
                        raise
        finally:
            del self._tasks[asked]

    async def _read(self, tenant: str, tag: str | None) -> TenantReading:
        self.readings += 1
        wanted = None if tag is None else lambda view: tag in tags_in(view.spec)
        views, following = await list_jobs(self._client, self._partitions, tenant, limit=NEWEST, wanted=wanted)
        document = JobsPage(tuple(job_document(view, self._retention_s) for view in views), following)
        return TenantReading(views, msgspec.json.encode(document))
