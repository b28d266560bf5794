"""What workers find when they begin: tenants that are spread over the partitions, and jobs that wait."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence

import redis.asyncio

from actors.kernel import KernelOptions, Partitions, RedisOptions, Submission, Submitter, Worker, connect, new_nonce
from actors.kernel.keys import PRIORITIES
from actors.kernel.scripts import script, verbs
from bench.chains.orders import INPUT, SPEC, STAGES
from bench.server import Server

IN_FLIGHT = 32
PATIENCE_S = 60.0


def tenants_in(partitions: Partitions, each: int) -> list[str]:
    """Names of tenants, `each` of them in every partition, the partitions in turn."""
    found: dict[str, list[str]] = {partition: [] for partition in partitions}
    numbers = itertools.count()
    while min(map(len, found.values())) < each:
        name = f"tenant-{next(numbers)}"
        found[partitions.of_tenant(name)].append(name)
    return [name for row in zip(*found.values(), strict=False) for name in row][: each * partitions.count]


def inboxes(partitions: Partitions, partition: str, stage: str) -> list[str]:
    """The keys that an ordinary worker reads, important work first."""
    keys = partitions.keys(partition)
    return [keys.inbox(stage, "cpu", name) for name in ("again", *PRIORITIES)]


def load_scripts(servers: Iterable[Server]) -> None:
    """Compiles every verb, so that no measured call pays for it."""
    for server in servers:
        for verb in verbs():
            server.client.script_load(script(verb).text)


async def widen(client: redis.asyncio.Redis, partitions: Partitions, width: int) -> None:
    """As if a worker of so many slots had been there: so many hints may each tenant have in an inbox."""
    worker = Worker(client, partitions, KernelOptions(), "wide")
    for partition in partitions:
        for stage in STAGES:
            await worker.take(partition, inboxes(partitions, partition, stage), 0, new_nonce(), holding=width)


def patient(client: redis.asyncio.Redis, partitions: Partitions) -> Submitter:
    """For what is not measured: the machine may be busy with something else meanwhile."""
    return Submitter(client, partitions, KernelOptions(), patience_s=PATIENCE_S)


async def submit(
    submitter: Submitter, tenants: Sequence[str], jobs: int, *, stage: str = STAGES[0], ordered: int = 0
) -> None:
    """Hands jobs in, the tenants in turn; the first `ordered` one after the other. Raises RuntimeError at a refusal."""
    numbers = iter(range(jobs))
    first = itertools.islice(numbers, ordered)

    async def send(numbers: Iterator[int]) -> None:
        for number in numbers:
            tenant = tenants[number % len(tenants)]
            said = await submitter.submit(Submission(tenant=tenant, stage=stage, spec=SPEC, input=INPUT))
            # `exists`: the answer to the first call was lost, which took the job.
            if said.outcome not in {"ok", "exists"}:
                raise RuntimeError(f"a job of {tenant} was answered {said.outcome}")

    await send(first)
    await asyncio.gather(*(send(numbers) for _ in range(IN_FLIGHT)))


async def fill(url: str, partitions: Partitions, tenants: Sequence[str], jobs: int, width: int) -> None:
    """An installation whose widest worker has `width` slots, with so many jobs that wait at the first stage."""
    client = connect(RedisOptions(url=url))
    try:
        await widen(client, partitions, width)
        await submit(patient(client, partitions), tenants, jobs)
    finally:
        await client.aclose()
