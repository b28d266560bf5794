"""The JSON documents of dead letters and of what was put aside: field for field what an operator reads."""

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.kernel.dead import DeadCount, DeadDetail, DeadGroup
from actors.kernel.dead_letter import DeadLetter, Why
from actors.kernel.quarantine import Quarantined
from actors.kernel.replay import Replay
from actors.kernel.views import LogEntry
from gateway.jobs.documents import NextPage
from gateway.times import Timestamp, optional_timestamp, timestamp

RawObject = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]


class DeadLetterDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter. `attempt` counts errors, `crashes` lost workers, both at the stage where the job died."""

    job: str
    stage: str
    tenant: str
    kind: str
    parent: str | None
    why: Why
    code: str
    attempt: int
    crashes: int
    worker: str
    host: str
    fence: str
    died_at: Timestamp
    error: RawObject


class DeadLetterEventDocument(msgspec.Struct, frozen=True):
    """One durable event of the job."""

    type: Annotated[str, Meta(examples=["job.failed"])]
    rev: int
    at: Timestamp
    data: RawObject


class RemainsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the job itself. `spec` is what its client asked for, `input` what its last stage was given."""

    lane: str
    priority: str
    takes: int
    percent: float
    spec: RawObject
    input: RawObject
    refs: tuple[str, ...]
    created_at: Timestamp
    started_at: Timestamp | None
    deadline_at: Timestamp


class DeadLetterDetailDocument(DeadLetterDocument, frozen=True, kw_only=True):
    """A dead letter with everything that is left; also one line of an export."""

    remains: RemainsDocument
    events: tuple[DeadLetterEventDocument, ...]


class QuarantinedDocument(msgspec.Struct, frozen=True):
    """A job that could not be read. `type` is what Redis holds in its place, `fields` what can be shown of it."""

    job: str
    at: Timestamp
    why: str
    type: str
    fields: dict[str, str]


class DeadPage(msgspec.Struct, frozen=True):
    """One page of dead letters, newest first."""

    dead: tuple[DeadLetterDocument, ...]
    next: NextPage


class DeadCountDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters there are. `rows` are all within the times and the tenant, `matching` those of the newest
    10000 that match; `complete` is false when there are more rows than were looked at."""

    rows: int
    matching: int
    complete: bool
    newest_at: Timestamp | None
    groups: tuple[DeadGroup, ...]


class ReplaysPage(msgspec.Struct, frozen=True):
    """What became of the jobs of one page."""

    replays: tuple[Replay, ...]
    next: NextPage


class PurgedPage(msgspec.Struct, frozen=True):
    """The jobs that were given up."""

    purged: tuple[str, ...]
    next: NextPage


class QuarantinePage(msgspec.Struct, frozen=True):
    """One page of jobs that could not be read, newest first."""

    quarantined: tuple[QuarantinedDocument, ...]
    next: NextPage


def dead_document(letter: DeadLetter) -> DeadLetterDocument:
    """One letter of a listing."""
    return DeadLetterDocument(
        job=letter.job,
        stage=letter.stage,
        tenant=letter.tenant,
        kind=letter.kind,
        parent=letter.parent or None,
        why=letter.why,
        code=letter.code,
        attempt=letter.attempt,
        crashes=letter.crashes,
        worker=letter.worker,
        host=host_of(letter.worker),
        fence=letter.fence,
        died_at=timestamp(letter.died_at_ms),
        error=msgspec.Raw(letter.error),
    )


def detail_document(detail: DeadDetail) -> DeadLetterDetailDocument:
    """One letter in full."""
    view = detail.view
    remains = RemainsDocument(
        lane=view.lane,
        priority=view.priority,
        takes=view.takes,
        percent=view.percent,
        spec=msgspec.Raw(view.spec),
        input=msgspec.Raw(view.input),
        refs=view.refs,
        created_at=timestamp(view.created_at_ms),
        started_at=optional_timestamp(view.started_at_ms),
        deadline_at=timestamp(view.deadline_ms),
    )
    known = msgspec.structs.asdict(dead_document(detail.letter))
    return DeadLetterDetailDocument(**known, remains=remains, events=tuple(map(_event, detail.log)))


def count_document(count: DeadCount) -> DeadCountDocument:
    """How many dead letters there are, by stage, why and code."""
    return DeadCountDocument(
        rows=count.rows,
        matching=count.matching,
        complete=count.complete,
        newest_at=optional_timestamp(count.newest_ms),
        groups=tuple(count.groups),
    )


def quarantined_document(row: Quarantined) -> QuarantinedDocument:
    """One job that was put aside."""
    return QuarantinedDocument(row.job, timestamp(row.at_ms), row.why, row.type, row.fields)


def host_of(worker: str) -> str:
    """The host in a worker's name, which a process id and a nonce follow."""
    return worker.rsplit("-", 2)[0]


def _event(entry: LogEntry) -> DeadLetterEventDocument:
    return DeadLetterEventDocument(entry.type, entry.rev, timestamp(entry.at), entry.data)
