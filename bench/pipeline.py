"""The measured work: jobs that do nothing pass through every stage, once through actors and once through bare calls.

Both halves run in a process of their own, so that its processor time is theirs alone.
"""

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import structlog
import uvloop

from actors.kernel import (
    Actor,
    ActorOptions,
    Commit,
    Done,
    End,
    Failure,
    Grant,
    KernelOptions,
    Next,
    Partitions,
    RedisOptions,
    Submission,
    Submitter,
    Taken,
    Task,
    Worker,
    connect,
    new_nonce,
)

STAGES = ("ingest", "fetch", "transcode", "store")
BODY = b'{"source":"https://media.example/clip.mp4","format":"mp3","quality":"192k"}'
RESULT = b'{"outputs":[]}'
CONCURRENCY = 50
CALLS_IN_FLIGHT = 4
POLL_S = 0.005


class Plan(msgspec.Struct, frozen=True):
    """One measurement."""

    url: str
    jobs: int
    partitions: int
    concurrency: int = CONCURRENCY


class Batches(msgspec.Struct):
    """How many items travelled in how many calls that carried any."""

    calls: Counter[str] = msgspec.field(default_factory=Counter)
    items: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, verb: str, items: int) -> None:
        if items:
            self.calls[verb] += 1
            self.items[verb] += items

    def mean(self, verb: str) -> float:
        return self.items[verb] / self.calls[verb] if self.calls[verb] else 0.0


class Measured(msgspec.Struct, frozen=True):
    """What one half took for all jobs."""

    wall_s: float
    worker_cpu_s: float
    take_batch: float
    commit_batch: float


class Nothing:
    """The handler of one stage: does nothing and names the next stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._following = _following(stage)

    async def handle(self, task: Task) -> Next | Done:
        return Next(self._following, task.input) if self._following else Done(RESULT, RESULT)


class NoFailures:
    """Every failure is a bug of the benchmark and ends its job."""

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        body = msgspec.json.encode({"code": "BENCH", "message": f"{stage}: {failure!r}", "attempt": attempt})
        return Failure(cls="permanent", code="BENCH", delay_ms=0, budget=1, error=body, reason=body)


async def _submit(plan: Plan) -> float:
    client = connect(RedisOptions(url=plan.url))
    partitions = Partitions(plan.partitions)
    submitter = Submitter(client, partitions, KernelOptions())
    numbers = iter(range(plan.jobs))
    tenants = 4 * plan.partitions

    async def send() -> None:
        for number in numbers:
            await submitter.submit(
                Submission(tenant=f"tenant-{number % tenants}", stage=STAGES[0], spec=BODY, input=BODY)
            )

    started_at_s = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(32)))
    await client.aclose()
    return time.perf_counter() - started_at_s


async def _all_ended(plan: Plan) -> None:
    """Waits until no job is active. Raises RuntimeError when one ended otherwise than completed."""
    client = connect(RedisOptions(url=plan.url), connections=1)
    partitions = Partitions(plan.partitions)
    while any([await client.zcard(partitions.keys(partition).active) for partition in partitions]):  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(POLL_S)
    dead = sum([await client.zcard(partitions.keys(partition).dead) for partition in partitions])
    await client.aclose()
    if dead:
        raise RuntimeError(f"{dead} jobs failed")


async def _through_actors(plan: Plan) -> Measured:
    batches = Batches()
    _count(batches)
    options = ActorOptions(concurrency=plan.concurrency)
    partitions = Partitions(plan.partitions)
    actors = [
        Actor(RedisOptions(url=plan.url), partitions, KernelOptions(), Nothing(stage), NoFailures(), options)
        for stage in STAGES
    ]
    started_at_s, cpu_at_s = time.perf_counter(), time.process_time()
    for actor in actors:
        await actor.start()
    await _all_ended(plan)
    wall_s, cpu_s = time.perf_counter() - started_at_s, time.process_time() - cpu_at_s
    for actor in actors:
        await actor.drain()
        await actor.stop()
    return Measured(wall_s, cpu_s, batches.mean("take"), batches.mean("commit"))


def _count(batches: Batches) -> None:
    """Notes the batch sizes that actors arrive at, so that the bare calls can use the same."""
    take, commit = Worker.take, Worker.commit

    async def counted_take(
        worker: Worker, partition: str, inboxes: Sequence[str], want: int, nonce: str, *, holding: int = 0
    ) -> Taken:
        taken = await take(worker, partition, inboxes, want, nonce, holding=holding)
        batches.add("take", len(taken.grants))
        return taken

    async def counted_commit(worker: Worker, partition: str, commits: Sequence[Commit]) -> list[End]:
        batches.add("commit", len(commits))
        return await commit(worker, partition, commits)

    Worker.take, Worker.commit = counted_take, counted_commit  # type: ignore[method-assign, assignment]


async def _through_calls(plan: Plan, take_batch: int, commit_batch: int) -> Measured:
    """The same verbs at the same batch sizes, one stage after the other: no doorbell, no beats, no task per job."""
    batches = Batches()
    partitions = Partitions(plan.partitions)
    client = connect(RedisOptions(url=plan.url))
    # All jobs go through one stage before the next begins, so without a window of that size most would be held between.
    worker = Worker(client, partitions, KernelOptions(window=plan.jobs), "bare")

    async def loop(stage: str, turn: Iterator[str], done: list[int]) -> None:
        while sum(done) < plan.jobs:
            partition = next(turn)
            keys = partitions.keys(partition)
            inboxes = [keys.inbox(stage, "cpu", priority) for priority in ("again", "high", "normal", "low")]
            grants = (await worker.take(partition, inboxes, take_batch, new_nonce())).grants
            batches.add("take", len(grants))
            for first in range(0, len(grants), commit_batch):
                commits = [_commit(grant) for grant in grants[first : first + commit_batch]]
                batches.add("commit", len(commits))
                ends = await worker.commit(partition, commits)
                if any(end is not End.OK for end in ends):
                    raise RuntimeError(f"commit answered {ends}")
                done.append(len(ends))

    started_at_s, cpu_at_s = time.perf_counter(), time.process_time()
    for stage in STAGES:
        turn, done = itertools.cycle(partitions), list[int]()
        await asyncio.gather(*(loop(stage, turn, done) for _ in range(CALLS_IN_FLIGHT)))
    wall_s, cpu_s = time.perf_counter() - started_at_s, time.process_time() - cpu_at_s
    await client.aclose()
    return Measured(wall_s, cpu_s, batches.mean("take"), batches.mean("commit"))


def _following(stage: str) -> str | None:
    position = STAGES.index(stage) + 1
    return STAGES[position] if position < len(STAGES) else None


def _commit(grant: Grant) -> Commit:
    following = _following(grant.stage)
    if following is None:
        return Commit(grant.job, grant.fence, "done", "", "", RESULT, (), RESULT)
    return Commit(grant.job, grant.fence, "next", following, "cpu", grant.input)


def submit(plan: Plan) -> float:
    """Accepts all jobs, in this process; returns the seconds it took."""
    return uvloop.run(_submit(plan))


def through_actors(plan: Plan) -> Measured:
    """Runs four actors until every job is completed. Needs a process of its own."""
    _quiet()
    return uvloop.run(_through_actors(plan))


def through_calls(plan: Plan, take_batch: int, commit_batch: int) -> Measured:
    """Calls take and commit for every stage until every job is completed. Needs a process of its own."""
    _quiet()
    return uvloop.run(_through_calls(plan, take_batch, commit_batch))


def _quiet() -> None:
    """Warnings only, as lines of every stage's end would be measured too."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
