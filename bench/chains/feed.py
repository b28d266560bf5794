"""A client of the kernel that hands a job in and hears of its end in the feed of the partition."""

import asyncio
from types import TracebackType
from typing import Any, Self

import msgspec

from actors.kernel import KernelOptions, Partitions, RedisOptions, Submission, Submitter, connect, end_tasks
from actors.kernel.reading import by_stream, xread
from actors.kernel.scripts import text
from bench.bodies import SPEC

BLOCK_S = 5.0
MOST = 1000
"""Events of one read."""
ENDS = {"job.completed", "job.failed", "job.cancelled", "job.expired"}


class _Event(msgspec.Struct, frozen=True):
    """What is looked at of an entry, which holds one event under its tenant's name."""

    type: str
    job: str


class FeedClient:
    """Of an installation of one partition; all jobs are one tenant's. Belongs to one event loop."""

    def __init__(self, url: str, tenant: str = "default") -> None:
        self._tenant = tenant
        self._partitions = Partitions(1)
        self._client = connect(RedisOptions(url=url))
        self._reading = connect(RedisOptions(url=url), block_s=BLOCK_S, connections=1)
        self._submitter = Submitter(self._client, self._partitions, KernelOptions())
        (partition,) = self._partitions
        self._feed = self._partitions.keys(partition).feed
        self._awaited: dict[str, asyncio.Future[str]] = {}
        """Job to the kind of its last event."""

    async def __aenter__(self) -> Self:
        last: Any = await self._client.xrevrange(self._feed, count=1)
        self._reader = asyncio.create_task(self._read(text(last[0][0]) if last else "0-0"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await end_tasks([self._reader])
        await self._reading.aclose()
        await self._client.aclose()

    async def complete(self) -> None:
        """Hands a job in and waits until it has completed. Raises RuntimeError when it is refused or ends otherwise."""
        job = self._partitions.new_id(self._tenant)
        end = self._awaited[job] = asyncio.get_running_loop().create_future()
        said = await self._submitter.submit(
            Submission(tenant=self._tenant, stage="ingest", spec=SPEC, input=b"{}", job=job)
        )
        if said.outcome != "ok":
            raise RuntimeError(f"a submission was answered {said.outcome}")
        if (kind := await end) != "job.completed":
            raise RuntimeError(f"{job} ended with {kind}")

    async def _read(self, last: str) -> None:
        try:
            while True:
                block_ms = round(BLOCK_S * 1000)
                command = xread({self._feed: last}, count=MOST, block_ms=block_ms)
                reply = await self._reading.execute_command(*command)  # type: ignore[no-untyped-call]
                for entry, (_, written) in by_stream(reply).get(self._feed, ()):
                    last = text(entry)
                    event = msgspec.json.decode(written, type=_Event)
                    if event.type in ENDS and (awaited := self._awaited.pop(event.job, None)) is not None:
                        awaited.set_result(event.type)
        except Exception as error:
            for awaited in self._awaited.values():
                awaited.set_exception(error)
            raise
