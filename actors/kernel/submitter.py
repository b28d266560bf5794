"""The client of those who want work done: submit and cancel."""

from typing import Literal

import msgspec
import redis.asyncio

from actors.kernel.connection import persist
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
    priority: Priority = "normal"
    listed: bool = True
    """Listed jobs appear in listings, feeds and deliveries."""
    refs: tuple[str, ...] = ()
    deadline_s: float | None = None
    """Life of the job in seconds; None: the installation's default."""
    idempotency_key: str | None = None
    digest: str = ""
    """Of the request, compared when the idempotency key is used again."""
    job: str | None = None
    """Id to use; None makes a new one."""


class Submitted(msgspec.Struct, frozen=True, array_like=True):
    """How a submission ended."""

    outcome: Literal["ok", "exists", "conflict"]
    """exists: the same request was accepted before, as `job`. conflict: the key belongs to another request."""
    job: str
    state: str
    """`gone` when the earlier job is no longer kept."""


class CancelReply(msgspec.Struct, frozen=True, array_like=True):
    """How a cancel ended."""

    outcome: Literal["cancelled", "flagged", "terminal", "gone"]
    """flagged: it runs, and its next transition ends it cancelled."""
    state: str


BODY_LIMIT_BYTES = 65_536


class BodyTooLarge(ValueError):
    """A body of a job exceeds 64 KiB."""


class Submitter:
    """Submits and cancels. Calls are repeat-safe and sent again until `patience_s` has passed."""

    def __init__(
        self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions, *, patience_s: float = 5.0
    ) -> None:
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._options = options
        self._patience_s = patience_s

    async def submit(self, submission: Submission) -> Submitted:
        """Accepts a job. Raises BodyTooLarge, StoreFull (nothing was written) or StoreUnavailable (send it again)."""
        if max(len(submission.spec), len(submission.input)) > BODY_LIMIT_BYTES:
            raise BodyTooLarge
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
            submission.priority,
            "1" if submission.listed else "0",
            round(deadline_s * 1000),
            submission.digest,
            round(self._options.idempotency_s * 1000),
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
