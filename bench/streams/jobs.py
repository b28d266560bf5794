"""Jobs to be watched: handed in through the kernel, which is faster than anything that would pretend them."""

import asyncio
from collections.abc import Sequence

import uvloop

from actors.kernel import KernelOptions, Partitions, RedisOptions, Submission, Submitter, connect
from bench.bodies import SPEC
from bench.chains.load import PATIENCE_S

TENANT = "default"
"""Whose key the gateway knows."""
IN_FLIGHT = 32


async def _submit(url: str, jobs: Sequence[str]) -> None:
    client = connect(RedisOptions(url=url), connections=IN_FLIGHT)
    submitter = Submitter(client, Partitions(1), KernelOptions(), patience_s=PATIENCE_S)
    rest = iter(jobs)

    async def send() -> None:
        for job in rest:
            submission = Submission(tenant=TENANT, stage="ingest", spec=SPEC, input=b"{}", job=job)
            said = await submitter.submit(submission)
            if said.outcome not in {"ok", "exists"}:
                raise RuntimeError(f"a job was answered {said.outcome}")

    try:
        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
    finally:
        await client.aclose()


def make_jobs(url: str, count: int) -> list[str]:
    """Ids of so many unfinished jobs of an installation of one partition."""
    jobs = [Partitions(1).new_id(TENANT) for _ in range(count)]
    uvloop.run(_submit(url, jobs))
    return jobs
