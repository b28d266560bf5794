"""The client of those who want work done: submit, cancel, replay, delete."""

from typing import Literal

import msgspec
import redis.asyncio

from actors.kernel.connection import persist
from actors.kernel.items import check_bodies
from actors.kernel.keys import Lane, Partitions, Priority
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Argument, Scripts, text


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One job to accept. Bodies are opaque to the kernel and at most 64 KiB each."""

    tenant: str
    stage: str
    """The first stage."""
    spec: bytes
    """What the client asked for, as JSON; unchanged for the life of the job."""
    input: bytes
    """What the first stage needs, as JSON."""
    kind: str = "media"
    lane: Lane = "cpu"
    rescue: bool = False
    """Whether a job in the gpu lane may run on a cpu when no gpu worker is left."""
    priority: Priority = "normal"
    listed: bool = True
    """Listed jobs appear in listings, feeds and deliveries."""
    refs: tuple[str, ...] = ()
    deadline_s: float | None = None
    """Life of the job in seconds, from its start; None: the installation's default."""
    start_at_ms: int | None = None
    """When to start it, server time; None: at once."""
    idempotency_key: str | None = None
    digest: str = ""
    """Of the request, compared when the idempotency key is used again."""
    children: int = 0
    """How many jobs will come of it. There must be room for them as for itself."""
    job: str | None = None
    """Id to use; None makes a new one."""


class Submitted(msgspec.Struct, frozen=True, array_like=True):
    """How a submission ended."""

    outcome: Literal["ok", "exists", "conflict", "busy", "crowded"]
    """exists: the same request was accepted before, as `job`. conflict: the key belongs to another request.

    busy: the tenant has too many jobs waiting; crowded: the partition has too many unfinished ones. Nothing was
    written.
    """
    job: str
    state: str
    """`gone` when the earlier job is no longer kept."""


class CancelReply(msgspec.Struct, frozen=True, array_like=True):
    """How a cancel ended."""

    outcome: Literal["cancelled", "flagged", "terminal", "gone"]
    """flagged: it runs, and its next transition ends it cancelled."""
    state: str


class Replayed(msgspec.Struct, frozen=True, array_like=True):
    """How a replay ended."""

    outcome: Literal["ok", "illegal", "parent", "gone"]
    """illegal: the state does not allow it. parent: a child begins again only while its parent waits."""
    state: str
    """Of the job; with outcome `parent`, of the parent."""


class Deleted(msgspec.Struct, frozen=True, array_like=True):
    """How a delete ended."""

    outcome: Literal["ok", "unfinished", "gone"]
    state: str
    """unfinished: of the job."""


class Submitter:
    """Submits, cancels, replays and deletes. Calls are repeat-safe and sent again until `patience_s` has passed."""

    def __init__(
        self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions, *, patience_s: float = 5.0
    ) -> None:
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._options = options
        self._patience_s = patience_s

    async def submit(self, submission: Submission) -> Submitted:
        """Accepts a job. Raises BodyTooLarge, StoreFull (nothing was written) or StoreUnavailable (send it again)."""
        check_bodies(submission.spec, submission.input)
        job = submission.job or self._partitions.new_id(submission.tenant)
        keys = self._partitions.keys(self._partitions.of_tenant(submission.tenant))
        extra = [keys.job(job)]
        if submission.idempotency_key is not None:
            extra.append(keys.idempotency(submission.tenant, submission.idempotency_key))
        deadline_s = submission.deadline_s or self._options.deadline_s
        arguments: list[Argument] = [
            job,
            submission.tenant,
            submission.kind,
            submission.stage,
            submission.lane,
            "1" if submission.rescue else "",
            submission.priority,
            "1" if submission.listed else "0",
            round(deadline_s * 1000),
            submission.start_at_ms or 0,
            submission.digest,
            round(self._options.idempotency_s * 1000),
            self._options.tenant_backlog - submission.children,
            self._options.partition_jobs - submission.children,
            submission.spec,
            submission.input,
            msgspec.json.encode(submission.refs),
        ]
        reply = await persist(lambda: self._scripts.call("submit", keys, extra, arguments), patience_s=self._patience_s)
        outcome, accepted, state = map(text, reply)
        return msgspec.convert((outcome.lower(), accepted, state), Submitted)

    async def cancel(self, job: str, by: str) -> CancelReply:
        """Cancels a job on behalf of `by`. Raises UnknownJobId or StoreUnavailable."""
        keys = self._partitions.keys_of_job(job)
        reply = await persist(
            lambda: self._scripts.call("cancel", keys, [keys.job(job)], [job, by]), patience_s=self._patience_s
        )
        outcome, state = map(text, reply)
        return msgspec.convert((outcome.lower(), state), CancelReply)

    async def replay(
        self, job: str, *, from_first: bool, life_s: float | None = None, worker: str | None = None
    ) -> Replayed:
        """Begins a failed, cancelled or expired job again, with full budgets and a new deadline.

        At the stage it ended in, which needs the files in its `refs`, or at its first one. `worker` names a quarantine
        worker that alone may take it there. Raises UnknownJobId, StoreFull or StoreUnavailable (send it again).
        """
        keys = self._partitions.keys_of_job(job)
        life_ms = round((life_s or self._options.deadline_s) * 1000)
        arguments: list[Argument] = [job, life_ms, "first" if from_first else "here", worker or ""]
        while True:
            reply = await persist(
                lambda: self._scripts.call("replay", keys, [keys.job(job)], arguments), patience_s=self._patience_s
            )
            outcome, state, left = text(reply[0]), text(reply[1]), int(reply[2])
            if left == 0:
                return msgspec.convert((outcome.lower(), state), Replayed)

    async def delete(self, job: str) -> Deleted:
        """Forgets a job that has ended, with its children; the reaper sweeps their files, the published ones too.

        Raises UnknownJobId or StoreUnavailable (send it again).
        """
        keys = self._partitions.keys_of_job(job)
        while True:
            reply = await persist(
                lambda: self._scripts.call("delete", keys, [keys.job(job)], [job]), patience_s=self._patience_s
            )
            outcome = text(reply[0])
            if outcome != "OK":
                return msgspec.convert((outcome.lower(), text(reply[1])), Deleted)
            if int(reply[1]) == 0:
                return Deleted("ok", "")
