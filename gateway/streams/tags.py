"""Which tags a job carries, as far as this process knows: events name the job, its tags are in what was asked for."""

from collections import OrderedDict
from collections.abc import Collection

import redis.asyncio

from actors.kernel import Partitions, persist
from gateway.jobs.tags import tags_in
from gateway.streams.reader import PATIENCE_S

MOST_JOBS = 50_000
"""Jobs that are remembered; of others the tags are read again."""


class Tags:
    """A job's tags never change, so what was read once stays true."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, most: int = MOST_JOBS) -> None:
        self._client = client
        self._partitions = partitions
        self._most = most
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()

    def carries(self, job: str, tag: str) -> bool | None:
        """Whether a job carries a tag; None: not known, `learn` first."""
        tags = self._known.get(job)
        return None if tags is None else tag in tags

    async def learn(self, jobs: Collection[str]) -> None:
        """Afterwards these are known; a job that is no longer kept carries none. Raises StoreUnavailable."""
        wanted = [job for job in jobs if job not in self._known]
        if wanted:
            specs = await persist(lambda: self._read(wanted), patience_s=PATIENCE_S)
            for job, spec in zip(wanted, specs, strict=True):
                self.note(job, _tags_of(spec))

    def note(self, job: str, tags: Collection[str]) -> None:
        """Remembers the tags of a job that was read for another reason."""
        self._known[job] = frozenset(tags)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    async def _read(self, jobs: list[str]) -> list[bytes | None]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for job in jobs:
                pipeline.hget(self._partitions.keys_of_job(job).job(job), "spec")
            found: list[bytes | None] = await pipeline.execute()
        return found


def _tags_of(spec: bytes | None) -> tuple[str, ...]:
    return () if spec is None else tags_in(spec)
