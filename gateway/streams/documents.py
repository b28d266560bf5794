"""What watchers read, as types: every durable event with its data, and what else a stream carries.

The envelope of an event is written by `gateway.streams.events`, around data that the kernel's scripts made. These types
say what that is; nothing is decoded with them on its way to a client.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.kernel.states import State
from gateway.jobs.documents import (
    ErrorDocument,
    JobId,
    OutputDocument,
    ProgressDocument,
    ReasonDocument,
)
from gateway.jobs.rendering import JobDocument, JobsPage
from gateway.times import Timestamp

EventId = Annotated[str, Meta(examples=["2m4k8r1p.1790000000123-0"])]
Revision = Annotated[int, Meta(ge=0, description="Counts the job's durable events without a gap.")]


class EventDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The envelope of a durable event."""

    id: EventId
    job: JobId
    rev: Revision
    at: Timestamp


class StageData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stage that the job is in."""

    stage: str
    start_at: Annotated[Timestamp | None, Meta(description="Of a job that starts later.")] = None
    lane: Annotated[str | None, Meta(description="Of a job whose lane had no workers: the one it waits in now.")] = None


class StartedData(msgspec.Struct, frozen=True):
    """The stage that begins, and the how manieth time."""

    stage: str
    attempt: Annotated[int, Meta(ge=1)]


class NextData(msgspec.Struct, frozen=True):
    """The stage that is done and the one that comes."""

    done: str
    next: str


class ReasonData(msgspec.Struct, frozen=True):
    """Why the job does not move."""

    reason: ReasonDocument | None


class RetryData(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the stage is tried again: `error` and when, or the `reason` when its worker was lost or stopped."""

    error: ErrorDocument | None = None
    next_at: Timestamp | None = None
    reason: ReasonDocument | None = None


class WaitingData(msgspec.Struct, frozen=True):
    """How many parts are awaited."""

    children: int


class OutputsData(msgspec.Struct, frozen=True):
    """The files of the result."""

    outputs: tuple[OutputDocument, ...]


class FailedData(msgspec.Struct, frozen=True):
    """Why the job failed."""

    error: ErrorDocument


class CancelledData(msgspec.Struct, frozen=True):
    """Who cancelled it: the name of a key, or `parent`."""

    by: str


class ExpiredData(msgspec.Struct, frozen=True):
    """The time that has passed."""

    deadline: Timestamp


class JobQueued(EventDocument, frozen=True, kw_only=True, tag="job.queued"):
    """The job waits for a worker."""

    data: StageData


class JobHeld(EventDocument, frozen=True, kw_only=True, tag="job.held"):
    """The job waits for its turn."""

    data: ReasonData


class JobStarted(EventDocument, frozen=True, kw_only=True, tag="job.started"):
    """A worker has begun a stage."""

    data: StartedData


class JobResumed(EventDocument, frozen=True, kw_only=True, tag="job.resumed"):
    """A worker that was given up has the job again."""

    data: StageData


class JobStage(EventDocument, frozen=True, kw_only=True, tag="job.stage"):
    """A stage is done."""

    data: NextData


class JobRetrying(EventDocument, frozen=True, kw_only=True, tag="job.retrying"):
    """A stage is tried again."""

    data: RetryData


class JobWaiting(EventDocument, frozen=True, kw_only=True, tag="job.waiting"):
    """The job waits for its parts."""

    data: WaitingData


class JobReplayed(EventDocument, frozen=True, kw_only=True, tag="job.replayed"):
    """An operator has let an ended job run again."""

    data: StageData


class JobCompleted(EventDocument, frozen=True, kw_only=True, tag="job.completed"):
    """The end: the result is published."""

    data: OutputsData


class JobFailed(EventDocument, frozen=True, kw_only=True, tag="job.failed"):
    """The end: it cannot be done."""

    data: FailedData


class JobCancelled(EventDocument, frozen=True, kw_only=True, tag="job.cancelled"):
    """The end: somebody asked for it."""

    data: CancelledData


class JobExpired(EventDocument, frozen=True, kw_only=True, tag="job.expired"):
    """The end: its deadline has passed."""

    data: ExpiredData


AnyEvent = (
    JobQueued | JobHeld | JobStarted | JobResumed | JobStage | JobRetrying | JobWaiting | JobReplayed | JobCompleted
    | JobFailed | JobCancelled | JobExpired
)  # fmt: skip


class EventsPage(msgspec.Struct, frozen=True):
    """One page of a job's durable events, oldest first."""

    events: tuple[AnyEvent, ...]
    next: Annotated[str | None, Meta(description="`after` of the next page; null on the last one.")]


class ProgressData(msgspec.Struct, frozen=True):
    """How far the stage is, and why it does not move if it does not."""

    progress: ProgressDocument
    reason: ReasonDocument | None


class ProgressEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="job.progress"):
    """Progress under revision `rev`. It has no id, is never replayed, and its percent never falls."""

    id: None
    job: JobId
    rev: Revision
    at: Timestamp
    data: ProgressData


class SnapshotEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The job as it is, with the id to come back with. `resync`: what was shown before may have a gap; begin anew."""

    type: Literal["snapshot", "resync"]
    id: EventId
    job: JobId
    rev: Revision
    at: Timestamp
    data: JobDocument


class JobsSnapshotEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The newest 100 jobs as they are, with the id to come back with. `resync` as for one job."""

    type: Literal["snapshot", "resync"]
    id: EventId
    job: None
    rev: None
    at: Timestamp
    data: JobsPage


class EndEvent(msgspec.Struct, frozen=True):
    """Nothing more will come. `state` is null when the job is no longer kept."""

    job: JobId
    state: State | None


class ReconnectEvent(msgspec.Struct, frozen=True):
    """Come back after `retry_ms`. `reason` is lifetime, draining, overloaded or unavailable."""

    reason: str
    retry_ms: int


class HeartbeatEvent(msgspec.Struct, frozen=True):
    """The connection lives."""

    at: Timestamp
