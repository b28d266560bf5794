"""The transitions of the worker without the worker: take and commit, called one after the other at given batch sizes.

No doorbell, no beats, no task a job. Each program runs in a process of its own, so that its processor time is its own.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec
import redis
import redis.asyncio
import uvloop

from actors.kernel import (
    Commit,
    End,
    Grant,
    Keeper,
    Partitions,
    RedisOptions,
    Submission,
    Submitter,
    Worker,
    connect,
    new_nonce,
)
from actors.kernel.keys import PRIORITIES
from actors.kernel.scripts import script, verbs
from bench.server import processor_s
from bench.systems.reelway.situation import CHAIN, OPTIONS, SINGLE, SLOTS_OF_TENANT, name_tenants

PARTITION = "00"
WIDTH = 100
"""Jobs at once of each actor of the worker: the window of a tenant follows from it."""
CALLS_IN_FLIGHT = 4
SUBMITS_IN_FLIGHT = 64
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Plan(msgspec.Struct, frozen=True):
    """What is worked off, and in which batches."""

    url: str
    mode: Literal["noop", "chain"]
    jobs: int
    take: int
    """Jobs a call."""
    commit: int

    @property
    def stages(self) -> tuple[str, ...]:
        return CHAIN if self.mode == "chain" else (SINGLE,)


class Cost(msgspec.Struct, frozen=True):
    """What all jobs took together."""

    wall_s: float
    client_s: float
    """Processor time of the calling process."""
    redis_s: float


def apart(work: Callable[Arguments, Value], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
    """Calls `work` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


class Stopwatch:
    """Seconds and processor times since it was made."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._redis_s = processor_s(server)
        self._wall_s, self._client_s = time.perf_counter(), time.process_time()

    def read(self) -> Cost:
        wall_s, client_s = time.perf_counter() - self._wall_s, time.process_time() - self._client_s
        return Cost(wall_s, client_s, processor_s(self._server) - self._redis_s)


class Program:
    """Hands jobs in and works them off through the clients of the kernel, on any client of Redis."""

    def __init__(self, plan: Plan, client: redis.asyncio.Redis) -> None:
        self._plan = plan
        self._client = client
        self._partitions = Partitions(1)
        self._worker = Worker(client, self._partitions, OPTIONS, "bare")
        self._done = 0

    async def load(self) -> None:
        """Compiles every verb, so that no call answers that it is unknown."""
        for verb in verbs():
            await self._client.script_load(script(verb).text)

    async def submit(self, in_flight: int) -> None:
        """As the client of Reelway does it, with job ids in the order of the submissions."""
        tenants = name_tenants(self._partitions)
        keeper = Keeper(self._client, self._partitions, OPTIONS)
        for tenant in tenants:
            await keeper.set_limit(tenant, SLOTS_OF_TENANT)
        submitter = Submitter(self._client, self._partitions, OPTIONS)
        numbers = iter(range(self._plan.jobs))

        async def send() -> None:
            for number in numbers:
                await submitter.submit(
                    Submission(
                        tenant=tenants[number % len(tenants)],
                        stage=self._plan.stages[0],
                        spec=b"{}",
                        input=b"%d" % number,
                        job=f"j{PARTITION}-{number:026d}",
                    )
                )

        await asyncio.gather(*(send() for _ in range(in_flight)))

    async def work(self) -> None:
        """Every stage in turn, until all jobs have ended. Several may run at once. Raises RuntimeError."""
        for stage in itertools.cycle(self._plan.stages):
            if self._done >= self._plan.jobs:
                return
            for page in _pages(await self._take(stage), self._plan.commit):
                ends = await self._worker.commit(PARTITION, [self._commit(grant) for grant in page])
                if any(end is not End.OK for end in ends):
                    raise RuntimeError(f"commit answered {ends}")
                self._done += len(ends) if stage == self._plan.stages[-1] else 0

    async def _take(self, stage: str) -> list[Grant]:
        keys = self._partitions.keys(PARTITION)
        inboxes = [keys.inbox(stage, "cpu", name) for name in ("again", "alone", *PRIORITIES)]
        holding = WIDTH - self._plan.take
        return (await self._worker.take(PARTITION, inboxes, self._plan.take, new_nonce(), holding=holding)).grants

    def _commit(self, grant: Grant) -> Commit:
        position = self._plan.stages.index(grant.stage) + 1
        if position == len(self._plan.stages):
            return Commit(grant.job, grant.fence, "done", "", "", grant.input)
        return Commit(grant.job, grant.fence, "next", self._plan.stages[position], "cpu", grant.input)


def _pages(grants: Sequence[Grant], size: int) -> Iterator[Sequence[Grant]]:
    for first in range(0, len(grants), size):
        yield grants[first : first + size]


def check_ended(server: redis.Redis) -> None:
    """Raises RuntimeError where a job has not completed."""
    keys = Partitions(1).keys(PARTITION)
    left: Any = server.zcard(keys.active)
    dead: Any = server.zcard(keys.dead)
    if left or dead:
        raise RuntimeError(f"{left} jobs have not ended and {dead} failed")


async def _work_off(plan: Plan) -> Cost:
    client = connect(RedisOptions(url=plan.url), connections=SUBMITS_IN_FLIGHT)
    program = Program(plan, client)
    await program.load()
    await program.submit(SUBMITS_IN_FLIGHT)
    with redis.Redis.from_url(plan.url) as server:
        watch = Stopwatch(server)
        await asyncio.gather(*(program.work() for _ in range(CALLS_IN_FLIGHT)))
        cost = watch.read()
        check_ended(server)
    await client.aclose()
    return cost


def work_off(plan: Plan) -> Cost:
    """Works off all jobs of an empty server through the kernel's clients. Needs a process of its own."""
    return uvloop.run(_work_off(plan))
