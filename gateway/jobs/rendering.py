"""A job as clients see it."""

import hashlib
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.kernel.states import TERMINAL, State, legal
from actors.kernel.views import JobView
from actors.media.task import BATCH, Result
from gateway.jobs.documents import (
    ChildrenDocument,
    ErrorDocument,
    JobId,
    Links,
    NextPage,
    OutputDocument,
    ProgressDocument,
    ReasonDocument,
    links,
    output_document,
    progress_document,
    reason_document,
)
from gateway.times import Timestamp, optional_timestamp, timestamp


class _Asked(msgspec.Struct, frozen=True):
    """What a client asked for. Jobs that were not made by this API may lack any of it."""

    source: str | None = None
    sources: tuple[str, ...] = ()
    format: str = ""
    quality: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


_TAG = re.compile(r'(?:^|,)\s*(?:W/)?"([0-9]{1,18})-[0-9a-f]{16}"(?=\s*(?:,|$))')
_asked = msgspec.json.Decoder(_Asked)
_error = msgspec.json.Decoder(ErrorDocument)
_result = msgspec.json.Decoder(Result)


class JobDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The job object of the API."""

    id: JobId
    rev: Annotated[
        int,
        Meta(
            ge=0, description="How many durable events it has had: one of this `rev` or a lower one is in here already."
        ),
    ]
    state: State
    stage: Annotated[str, Meta(description="The step it is in or waits for.", examples=["transcode"])]
    progress: ProgressDocument
    reason: Annotated[
        ReasonDocument | None, Meta(description="Why it does not move, or repeats a stage; null while it goes well.")
    ]
    source: Annotated[str | None, Meta(description="Null for a batch, whose jobs have theirs.")]
    format: str
    quality: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    outputs: Annotated[
        tuple[OutputDocument, ...],
        Meta(description="Empty before it has completed; those of a batch are its jobs'."),
    ]
    error: Annotated[ErrorDocument | None, Meta(description="Why it failed; null in any other state.")]
    parent: Annotated[JobId | None, Meta(description="The batch that it is part of.")]
    children: Annotated[ChildrenDocument | None, Meta(description="Null for everything but a batch.")]
    created_at: Timestamp
    updated_at: Timestamp
    expires_at: Annotated[
        Timestamp | None, Meta(description="Until when it can be read; null before the job has ended.")
    ]
    deadline_at: Annotated[Timestamp, Meta(description="When it expires, unless it has ended before.")]
    cancel_requested_at: Timestamp | None
    links: Links


class JobsPage(msgspec.Struct, frozen=True):
    """One page of a tenant's jobs, newest first."""

    jobs: tuple[JobDocument, ...]
    next: NextPage


def job_document(view: JobView, retention_s: float) -> JobDocument:
    """The document of a job. `retention_s`: how long after its end a job can be read."""
    asked = _asked.decode(view.spec)
    stored = None if view.terminal else view.progress
    expires_at_ms = None if view.ended_at_ms is None else view.ended_at_ms + round(retention_s * 1000)
    return JobDocument(
        id=view.job,
        rev=view.rev,
        state=view.state,
        stage=view.stage,
        progress=progress_document(view.percent, stored, view.stage),
        reason=reason_document(view.reason),
        source=asked.source,
        format=asked.format,
        quality=asked.quality,
        tags=asked.tags,
        metadata=asked.metadata,
        outputs=outputs_of(view),
        error=_error.decode(view.error) if view.error and view.state == State.FAILED else None,
        created_at=timestamp(view.created_at_ms),
        updated_at=timestamp(view.updated_at_ms),
        expires_at=optional_timestamp(expires_at_ms),
        deadline_at=timestamp(view.deadline_ms),
        cancel_requested_at=optional_timestamp(view.cancel_requested_at_ms),
        parent=view.parent or None,
        children=_children(view, len(asked.sources)) if view.kind == BATCH else None,
        links=links(
            view.job, can_be_retried=legal("replay", view.state), parent=view.parent, is_batch=view.kind == BATCH
        ),
    )


def _children(view: JobView, asked: int) -> ChildrenDocument:
    """`asked`: how many there will be. A batch that ended has cancelled those that were open."""
    ended = dict.fromkeys(TERMINAL, 0) | view.children_ended
    still_open = asked - sum(ended.values())
    return ChildrenDocument(
        total=asked,
        open=0 if view.terminal else still_open,
        completed=ended[State.COMPLETED],
        failed=ended[State.FAILED],
        cancelled=ended[State.CANCELLED] + (still_open if view.terminal else 0),
        expired=ended[State.EXPIRED],
    )


def outputs_of(view: JobView) -> tuple[OutputDocument, ...]:
    """The published files of a job; none before it has completed."""
    result = result_of(view)
    return () if result is None else tuple(output_document(view.job, facts) for facts in result.outputs)


def result_of(view: JobView) -> Result | None:
    """The result of a completed job."""
    return _result.decode(view.result) if view.result and view.state == State.COMPLETED else None


def job_json(view: JobView, retention_s: float) -> bytes:
    """The document as JSON, on one line."""
    return msgspec.json.encode(job_document(view, retention_s))


def entity_tag(rev: int, body: bytes) -> str:
    """The strong ETag of a job: its revision, and a digest because progress changes the body within a revision."""
    return f'"{rev}-{hashlib.sha256(body).hexdigest()[:16]}"'


def revisions_in(tags: str) -> set[int]:
    """The revisions inside a list of ETags of `entity_tag`; others are left aside."""
    return {int(number) for number in _TAG.findall(tags)}
