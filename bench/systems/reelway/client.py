"""Who wants work done of Reelway: `python -m bench.systems.reelway.client`, settings in BENCH."""

import asyncio
import random
import time

import uvloop

from actors.kernel import Keeper, Partitions, RedisOptions, Submission, Submitter, connect
from bench.systems.process import Settings
from bench.systems.reelway.situation import (
    OPTIONS,
    SLOTS_OF_TENANT,
    Report,
    name_tenants,
    read_settings,
    stages_of,
)

IN_FLIGHT = 64
"""Submissions under way at once; more of them reach no more."""


class Client:
    """Submits jobs that carry a number, of all tenants in turn."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions = Partitions(settings.partitions)
        self._tenants = name_tenants(self._partitions)
        self._client = connect(RedisOptions(url=settings.redis))
        self._submitter = Submitter(self._client, self._partitions, OPTIONS)
        self._stage = stages_of(settings)[0]

    async def limit(self) -> None:
        keeper = Keeper(self._client, self._partitions, OPTIONS)
        for tenant in self._tenants:
            await keeper.set_limit(tenant, SLOTS_OF_TENANT)

    async def submit_all(self) -> float:
        """As fast as it goes; returns the seconds it took."""
        numbers = iter(self._numbers())

        async def send() -> None:
            for number in numbers:
                await self._submit(number, b"%d" % number)

        began_s = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        return time.perf_counter() - began_s

    async def submit_by_the_clock(self) -> float:
        """Each at its time, however long those before it took; returns the seconds it took."""
        settings, chance = self._settings, random.Random(self._settings.seed)
        began_s = due_s = time.perf_counter()
        for number in self._numbers():
            due_s += chance.uniform(settings.gap_min_s, settings.gap_max_s)
            ahead_s = due_s - time.perf_counter()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
            await self._submit(number, b"[%d,%d]" % (number, time.monotonic_ns()))
        return time.perf_counter() - began_s

    async def close(self) -> None:
        await self._client.aclose()

    def _numbers(self) -> range:
        return range(self._settings.first, self._settings.first + self._settings.jobs)

    async def _submit(self, number: int, body: bytes) -> None:
        tenant = self._tenants[number % len(self._tenants)]
        submitted = await self._submitter.submit(Submission(tenant=tenant, stage=self._stage, spec=b"{}", input=body))
        if submitted.outcome != "ok":
            raise RuntimeError(f"job {number} was answered {submitted.outcome}")


async def main(settings: Settings) -> None:
    client = Client(settings)
    await client.limit()
    seconds = await (client.submit_by_the_clock() if settings.mode == "latency" else client.submit_all())
    Report(settings.report).say("submitted", jobs=settings.jobs, seconds=seconds)
    await client.close()


if __name__ == "__main__":
    uvloop.run(main(read_settings()))
