"""Makes jobs move: real transitions by the kernel's own clients, drawn from a seed, over every fault of Redis.

It keeps no truth of its own: it takes what waits, works on it for some beats, and ends it in a drawn way. What it is
told it has lost it forgets, and the keeper's passes bring that back.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import redis.asyncio

from actors.kernel import (
    Beat,
    Commit,
    End,
    Fail,
    Grant,
    Keeper,
    KernelOptions,
    Partitions,
    Pulse,
    Release,
    Submission,
    Submitter,
    Worker,
    new_nonce,
)
from actors.kernel.connection import persist
from actors.kernel.keys import PRIORITIES
from actors.media.task import CompletedEvent, JobSpec, OutputFacts, Progress, encode
from tests.gateway.scripted_worker import STAGES, a_result

OPTIONS = KernelOptions(window=10_000, lease_s=3.0, crash_budget=100)
CALL = 50
TAG = "third"
KEEPER_EVERY_S = 0.5
ERROR: dict[str, Any] = {"code": "NOT_MEDIA", "message": "No media.", "suggestion": "Send media.", "retryable": False}
REASON = b'{"code":"NET_TEMP","message":"The connection failed."}'
Item = TypeVar("Item")
Reply = TypeVar("Reply")


@dataclass(slots=True)
class Holding:
    """One stage that is being worked on."""

    grant: Grant
    beats_left: int
    percent: float


class Producer:
    """`run` works until cancelled. Before `finish` only some jobs end; the others go round and round."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, seed: str, tick_s: float) -> None:
        self.jobs: list[str] = []
        self.tagged: list[str] = []
        self.transitions: Counter[str] = Counter()
        self._client = client
        self._partitions = partitions
        self._partition = next(iter(partitions))
        self._submitter = Submitter(client, partitions, OPTIONS)
        self._worker = Worker(client, partitions, OPTIONS, f"producer-{new_nonce()}")
        self._keeper = Keeper(client, partitions, OPTIONS)
        self._draw = random.Random(seed)
        self._tick_s = tick_s
        self._padding_bytes: dict[str, int] = {}
        self._holding: dict[str, Holding] = {}
        self._early: set[str] = set()
        """Jobs that may end at any time."""
        self._finishing = False
        self._heard_ms = 0
        self._cursor = "0"

    async def submit(self, count: int, padding_bytes: int = 0) -> list[str]:
        """New jobs. A third of them carries `TAG`; a third may end at any time.

        `padding_bytes`: size of the message of their errors, which makes events large. These do not end by themselves.
        """
        for number in range(count):
            tags = (TAG,) if number % 3 == 0 else ()
            spec = encode(JobSpec(source="https://media.example/clip.mp4", format="mp3", tags=tags))
            submission = Submission(tenant="default", stage=STAGES[0], spec=spec, input=b"{}")
            job = (await persist(lambda submission=submission: self._submitter.submit(submission))).job  # type: ignore[misc]
            self.jobs.append(job)
            self._padding_bytes[job] = padding_bytes
            if tags:
                self.tagged.append(job)
            if not padding_bytes and self._draw.random() < 1 / 3:
                self._early.add(job)
        return self.jobs[-count:]

    def finish(self) -> None:
        """From now on every job comes to an end."""
        self._finishing = True

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        kept_at_s = 0.0
        while True:
            began_s = loop.time()
            await self._take()
            await self._beat()
            await self._end_stages()
            if began_s - kept_at_s >= KEEPER_EVERY_S:
                kept_at_s = began_s
                await self._keep()
            await asyncio.sleep(max(0.0, self._tick_s - (loop.time() - began_s)))

    async def _take(self) -> None:
        keys = self._partitions.keys(self._partition)
        inboxes = [keys.inbox(stage, "cpu", priority) for priority in ("again", *PRIORITIES) for stage in STAGES]
        while True:
            nonce = new_nonce()
            taken = await persist(
                lambda nonce=nonce: self._worker.take(  # type: ignore[misc]
                    self._partition, inboxes, CALL, nonce, holding=len(self._holding)
                )
            )
            for grant in taken.grants:
                beats = self._draw.randint(1, 4)
                self._holding[grant.job] = Holding(grant, beats, grant.percent)
                self.transitions["take"] += 1
            if len(taken.grants) < CALL:
                return

    async def _beat(self) -> None:
        held = list(self._holding.values())
        beats = [self._progress(one) for one in held]
        replies = await self._call(self._worker.beat, beats)
        for one, reply in zip(held, replies, strict=True):
            one.beats_left -= 1
            if reply != Pulse.OK:
                del self._holding[one.grant.job]

    def _progress(self, one: Holding) -> Beat:
        one.percent = min(99.0, one.percent + self._draw.random())
        # Sometimes a report that is behind what the job has reached: it must not be shown as a step back.
        reported = one.percent * (0.5 if self._draw.random() < 0.2 else 1.0)
        return Beat(one.grant.job, one.grant.fence, reported, encode(Progress(stage=one.grant.stage)))

    async def _end_stages(self) -> None:
        commits: list[Commit] = []
        fails: list[Fail] = []
        releases: list[Release] = []
        for one in self._holding.values():
            if one.beats_left <= 0:
                ending = self._ending(one.grant)
                if isinstance(ending, Commit):
                    commits.append(ending)
                elif isinstance(ending, Fail):
                    fails.append(ending)
                else:
                    releases.append(ending)
        self._note(commits, await self._call(self._worker.commit, commits))
        self._note(fails, await self._call(self._worker.fail, fails))
        self._note(releases, await self._call(self._worker.release, releases))

    def _ending(self, grant: Grant) -> Commit | Fail | Release:
        chance = self._draw.random()
        may_end = self._finishing or grant.job in self._early
        place = STAGES.index(grant.stage)
        if may_end and chance < 0.08:
            return Fail(grant.job, grant.fence, "permanent", 0, 1, msgspec.json.encode(ERROR), REASON)
        if not self._finishing and chance < 0.3:
            delay_ms = self._draw.randint(0, 400)
            error = ERROR | {"message": ERROR["message"] + "x" * self._padding_bytes[grant.job]}
            return Fail(grant.job, grant.fence, "throttled", delay_ms, 1, msgspec.json.encode(error), REASON)
        if place < len(STAGES) - 1:
            return Commit(grant.job, grant.fence, "next", STAGES[place + 1], "cpu", b"{}")
        if may_end:
            return _done(grant)
        if chance < 0.6:
            return Release(grant.job, grant.fence, REASON)
        # Back to an earlier stage, so that a job which must not end yet goes on.
        return Commit(grant.job, grant.fence, "next", STAGES[self._draw.randrange(place)], "cpu", b"{}")

    async def _keep(self) -> None:
        self._heard_ms = await persist(self._keeper.server_time_ms)
        await persist(lambda: self._keeper.promote(self._partition))
        await persist(lambda: self._keeper.reap(self._partition, self._heard_ms))
        self._cursor, _ = await persist(lambda: self._keeper.reconcile(self._partition, self._cursor))
        if self._finishing and self._draw.random() < 0.5 and self.jobs:
            job = self._draw.choice(self.jobs)
            await persist(lambda: self._submitter.cancel(job, "test"))

    def _note(self, items: Sequence[Commit | Fail | Release], ends: Sequence[End]) -> None:
        for item, end in zip(items, ends, strict=True):
            del self._holding[item.job]
            self.transitions[f"{type(item).__name__.lower()} {end.value}"] += 1

    async def _call(
        self, verb: Callable[[str, Sequence[Item]], Awaitable[list[Reply]]], items: Sequence[Item]
    ) -> list[Reply]:
        """Repeat-safe calls of up to 50 items, each sent until it is answered."""
        replies: list[Reply] = []
        for place in range(0, len(items), CALL):
            part = items[place : place + CALL]
            replies += await persist(lambda part=part: verb(self._partition, part))  # type: ignore[misc]
        return replies


def _done(grant: Grant) -> Commit:
    result = a_result(grant)
    facts = tuple(
        OutputFacts(**{name: getattr(output, name) for name in OutputFacts.__struct_fields__})
        for output in result.outputs
    )
    body, data = encode(result), encode(CompletedEvent(outputs=facts))
    return Commit(grant.job, grant.fence, "done", "", "cpu", body, (), data)
