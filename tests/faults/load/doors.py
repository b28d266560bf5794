"""The two ways in which jobs are asked for: the kernel's own client, and HTTP. They say what was answered."""

from typing import Protocol

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from actors.kernel import KernelOptions, Partitions, StoreFull, StoreUnavailable, Submission, Submitter
from tests.faults.load.bodies import FIRST_INPUT, STAGES, spec_of
from tests.faults.media.client import CANCEL_STATUS, MediaClient, MediaRequest, Reply, Unreached
from tests.faults.media.sources import Sources
from tests.faults.plan import JobPlan, Media, Scripted

PATIENCE_S = 2.0
"""How long the kernel's client sends a call again by itself; then it is the load's turn."""
CANCEL_ANSWERS = frozenset(CANCEL_STATUS.values())
REPLAY_ANSWERS = frozenset({"ok", "illegal", "parent", "gone"})


class Unanswered(Exception):
    """Nothing is known: what was asked may be done."""


class NotNow(Exception):
    """Refused for the time being. The message is the status."""


class Accepted(msgspec.Struct, frozen=True):
    """A job was accepted, now or earlier under the same key."""

    job: str
    status: str


class Door(Protocol):
    """Asks once. Each method raises Unanswered or NotNow."""

    async def submit(self) -> Accepted: ...
    async def cancel(self, job: str) -> str:
        """cancelled, flagged, terminal or gone."""

    async def replay(self, job: str) -> str:
        """ok, illegal, parent or gone."""


class KernelDoor:
    """For scripted jobs of any tenant."""

    def __init__(
        self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions, plan: JobPlan, key: str
    ) -> None:
        assert isinstance(plan.work, Scripted)
        self._client = client
        self._submitter = Submitter(client, partitions, options, patience_s=PATIENCE_S)
        self._plan = plan
        self._key = key
        self._spec = spec_of(str(plan.number), plan.work.steps)

    async def submit(self) -> Accepted:
        plan = self._plan
        try:
            start_at_ms = await self._in_ms(plan.delay_s) if plan.delay_s else None
            submitted = await self._submitter.submit(
                Submission(
                    tenant=plan.tenant,
                    stage=STAGES[0],
                    spec=self._spec,
                    input=FIRST_INPUT,
                    priority=plan.priority,
                    deadline_s=plan.deadline_s,
                    start_at_ms=start_at_ms,
                    idempotency_key=self._key,
                    digest=self._key,
                )
            )
        except StoreFull as error:
            raise NotNow("full") from error
        except (StoreUnavailable, RedisError, OSError) as error:
            raise Unanswered(repr(error)) from error
        if submitted.outcome not in ("ok", "exists"):
            raise NotNow(submitted.outcome)
        return Accepted(submitted.job, submitted.outcome)

    async def cancel(self, job: str) -> str:
        try:
            return (await self._submitter.cancel(job, "client")).outcome
        except (StoreUnavailable, RedisError, OSError) as error:
            raise Unanswered(repr(error)) from error

    async def replay(self, job: str) -> str:
        """At the stage where it ended, or from its first one: by its number."""
        try:
            return (await self._submitter.replay(job, from_first=self._plan.number // 2 % 2 == 0)).outcome
        except StoreFull as error:
            raise NotNow("full") from error
        except (StoreUnavailable, RedisError, OSError) as error:
            raise Unanswered(repr(error)) from error

    async def _in_ms(self, delay_s: float) -> int:
        """That moment, server time."""
        seconds, microseconds = await self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000 + round(delay_s * 1000)


class HttpDoor:
    """For media jobs."""

    def __init__(self, client: MediaClient, sources: Sources, plan: JobPlan, key: str) -> None:
        assert isinstance(plan.work, Media)
        self._client = client
        self._sources = sources
        terms = {"priority": plan.priority, "delay_s": plan.delay_s or None, "deadline_s": plan.deadline_s}
        self._request = MediaRequest(plan.work, key, {name: term for name, term in terms.items() if term is not None})

    async def submit(self) -> Accepted:
        try:
            reply = await self._client.submit_media(self._request, self._sources)
        except Unreached as error:
            raise Unanswered(str(error)) from error
        if not reply.accepted:
            raise NotNow(_refusal(reply))
        return Accepted(reply.body["id"], str(reply.status))

    async def cancel(self, job: str) -> str:
        try:
            reply = await self._client.cancel(job)
        except Unreached as error:
            raise Unanswered(str(error)) from error
        if reply.cancel_status not in CANCEL_ANSWERS:
            raise NotNow(_refusal(reply))
        return reply.cancel_status

    async def replay(self, job: str) -> str:
        try:
            reply = await self._client.replay(job)
        except Unreached as error:
            raise Unanswered(str(error)) from error
        if reply.replay_status not in REPLAY_ANSWERS:
            raise NotNow(_refusal(reply))
        return reply.replay_status


def _refusal(reply: Reply) -> str:
    return f"{reply.status} {reply.code}".rstrip()
