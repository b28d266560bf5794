"""The client of those who keep order: the reaper's verbs, each for one partition."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import redis.asyncio

from actors.kernel.items import Release
from actors.kernel.keys import Partitions
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Argument, Scripts, text
from actors.kernel.worker import Worker

Outcome = Literal["requeued", "failed", "cancelled", "expired", "error"]
WORKER_LOST = b'{"code":"WORKER_LOST","message":"The worker stopped answering; the step starts again."}'
CRASH_LOOP = (
    b'{"code":"CRASH_LOOP","message":"The worker was lost each time it worked on this.",'
    b'"suggestion":"Check the file, or ask the operator to look at the dead letters.","retryable":true}'
)
SWEEPS = 100
RESTARTED = b'{"code":"RESTARTED","message":"The service was restarted; the step starts again."}'


class Reaped(msgspec.Struct, frozen=True):
    """What one `reap` did."""

    stale: bool
    """The caller had not heard of the server for half a lease, so nothing was done."""
    now_ms: int
    """Server time of this answer."""
    jobs: dict[str, Outcome]


class Expired(msgspec.Struct, frozen=True):
    """What one `expire` did."""

    jobs: list[str]
    retained: list[str]
    """Terminal jobs whose retention is over: sweep their files, then call `retention`."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where deliveries of a tenant go."""

    events: dict[str, bool]
    """Wanted event types."""
    url: str
    deadline_ms: int
    """Life of one delivery."""


class Keeper:
    """Maintenance. Every verb is harmless when repeated and when several reapers call it at once."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions) -> None:
        self._client = client
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._options = options

    async def server_time_ms(self) -> int:
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def promote(self, partition: str) -> list[str]:
        """Queues delayed jobs whose time has come; at most 100 a call."""
        reply = await self._scripts.call("promote", self._partitions.keys(partition), [], [])
        return [text(job) for job in reply]

    async def reap(self, partition: str, heard_ms: int) -> Reaped:
        """Ends leases that have run out; `heard_ms` is the server time of the caller's last answer."""
        options = self._options
        arguments: list[Argument] = [options.lease_ms, heard_ms, options.crash_budget, CRASH_LOOP, WORKER_LOST]
        reply = await self._scripts.call("reap", self._partitions.keys(partition), [], arguments)
        status, now, *outcomes = map(text, reply)
        jobs = dict(zip(outcomes[::2], outcomes[1::2], strict=True))
        return msgspec.convert({"stale": status == "STALE", "now_ms": int(now), "jobs": jobs}, Reaped)

    async def expire(self, partition: str) -> Expired:
        """Ends jobs past their deadline; at most 100 rows a call."""
        expired, retained = await self._scripts.call("expire", self._partitions.keys(partition), [], [])
        return Expired([text(job) for job in expired], [text(job) for job in retained])

    async def retention(self, partition: str, jobs: Sequence[str]) -> list[str]:
        """Forgets terminal jobs whose time is over; at most 100 a call."""
        if not jobs:
            return []
        keys = self._partitions.keys(partition)
        reply = await self._scripts.call("retention", keys, [keys.job(job) for job in jobs], list(jobs))
        return [text(job) for job in reply]

    async def reconcile(self, partition: str, cursor: str, deserted: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
        """Repairs one page of the active jobs from `cursor` ("0" starts); returns the next cursor and the repairs.

        `deserted` names queues (`<stage>:gpu`) without a live worker: jobs in them that may run on a cpu are moved.
        """
        keys = self._partitions.keys(partition)
        reply = await self._scripts.call("reconcile", keys, [], [cursor, self._options.lease_ms, *deserted])
        following, *repairs = map(text, reply)
        return following, dict(zip(repairs[::2], repairs[1::2], strict=True))

    async def purge(self, partition: str, jobs: Sequence[str]) -> list[str]:
        """Ends the retention of terminal jobs; the reaper sweeps their files and forgets them. At most 100 a call."""
        keys = self._partitions.keys(partition)
        reply = await self._scripts.call("purge", keys, [keys.job(job) for job in jobs], list(jobs))
        return [text(job) for job in reply]

    async def to_sweep(self, partition: str) -> list[str]:
        """Deleted jobs whose files are to be swept, some of them."""
        keys = self._partitions.keys(partition)
        return [text(job) for job in await self._client.srandmember(keys.sweeps, SWEEPS) or ()]

    async def swept(self, partition: str, job: str) -> None:
        """The files of a deleted job are gone."""
        await self._client.srem(self._partitions.keys(partition).sweeps, job)

    async def deleted_before(self, partition: str, at_ms: int) -> list[str]:
        """Jobs that were deleted before that server time, the oldest; at most 100."""
        keys = self._partitions.keys(partition)
        return [text(job) for job in await self._client.zrangebyscore(keys.deleted, "-inf", at_ms, 0, SWEEPS)]

    async def forget_deleted(self, partition: str, jobs: Sequence[str]) -> None:
        """Nothing tells any more that these jobs were deleted, rather than forgotten after their time."""
        await self._client.zrem(self._partitions.keys(partition).deleted, *jobs)

    async def set_limit(self, tenant: str, limit: int | None) -> None:
        """Lets `limit` jobs of a tenant be under way at once (0: any number); None: the installation's default."""
        keys = self._partitions.keys(self._partitions.of_tenant(tenant))
        if limit is None:
            await self._client.delete(keys.limit(tenant))
        else:
            await self._client.set(keys.limit(tenant), limit)
        await self.turn(tenant)

    async def limit_of(self, tenant: str) -> int | None:
        """What `set_limit` said, or None."""
        limit = await self._client.get(self._partitions.keys(self._partitions.of_tenant(tenant)).limit(tenant))
        return None if limit is None else int(limit)

    async def turn(self, tenant: str) -> list[str]:
        """Queues those of a tenant's held jobs for which there is room; returns them."""
        keys = self._partitions.keys(self._partitions.of_tenant(tenant))
        return [text(job) for job in await self._scripts.call("turn", keys, [], [tenant])]

    async def give_back(self, partition: str) -> int:
        """Releases every lease of the partition, uncharged. Only where all earlier workers are known to be dead."""
        keys = self._partitions.keys(partition)
        jobs = [text(job) for job in await self._client.zrange(keys.leases, 0, -1)]
        worker = Worker(self._client, self._partitions, self._options, "give-back")
        for first in range(0, len(jobs), 50):
            page = jobs[first : first + 50]
            fences = [await self._client.hget(keys.job(job), "fence") for job in page]
            await worker.release(
                partition,
                [Release(job, text(fence), RESTARTED) for job, fence in zip(page, fences, strict=True) if fence],
            )
        return len(jobs)

    async def set_endpoint(self, tenant: str, name: str, endpoint: Endpoint) -> None:
        """Makes terminal events of `tenant` reach `name`; `finish` reads it."""
        keys = self._partitions.keys(self._partitions.of_tenant(tenant))
        await self._client.hset(keys.hooks(tenant), name, msgspec.json.encode(endpoint))

    async def drop_endpoint(self, tenant: str, name: str) -> None:
        keys = self._partitions.keys(self._partitions.of_tenant(tenant))
        await self._client.hdel(keys.hooks(tenant), name)
