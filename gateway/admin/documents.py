"""The JSON documents of dead letters and of what was put aside: field for field what an operator reads."""

import msgspec

from actors.kernel.dead import DeadCount, DeadDetail
from actors.kernel.dead_letter import DeadLetter, Why
from actors.kernel.quarantine import Quarantined
from actors.kernel.views import LogEntry
from gateway.times import optional_timestamp, timestamp


class DeadDocument(msgspec.Struct, frozen=True, kw_only=True):
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
    died_at: str
    error: msgspec.Raw


class EventDocument(msgspec.Struct, frozen=True):
    """One durable event of the job."""

    type: str
    rev: int
    at: str
    data: msgspec.Raw


class RemainsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the job itself. `spec` is what its client asked for, `input` what its last stage was given."""

    lane: str
    priority: str
    takes: int
    percent: float
    spec: msgspec.Raw
    input: msgspec.Raw
    refs: tuple[str, ...]
    created_at: str
    started_at: str | None
    deadline_at: str


class DetailDocument(DeadDocument, frozen=True, kw_only=True):
    """A dead letter with everything that is left; also one line of an export."""

    remains: RemainsDocument
    events: tuple[EventDocument, ...]


class QuarantinedDocument(msgspec.Struct, frozen=True):
    """A job that could not be read. `type` is what Redis holds in its place, `fields` what can be shown of it."""

    job: str
    at: str
    why: str
    type: str
    fields: dict[str, str]


def dead_document(letter: DeadLetter) -> DeadDocument:
    """One letter of a listing."""
    return DeadDocument(
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


def detail_document(detail: DeadDetail) -> DetailDocument:
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
    return DetailDocument(**known, remains=remains, events=tuple(map(_event, detail.log)))


def count_document(count: DeadCount) -> dict[str, object]:
    """How many dead letters there are, by stage, why and code."""
    return {
        "rows": count.rows,
        "matching": count.matching,
        "complete": count.complete,
        "newest_at": optional_timestamp(count.newest_ms),
        "groups": count.groups,
    }


def quarantined_document(row: Quarantined) -> QuarantinedDocument:
    """One job that was put aside."""
    return QuarantinedDocument(row.job, timestamp(row.at_ms), row.why, row.type, row.fields)


def host_of(worker: str) -> str:
    """The host in a worker's name, which a process id and a nonce follow."""
    return worker.rsplit("-", 2)[0]


def _event(entry: LogEntry) -> EventDocument:
    return EventDocument(entry.type, entry.rev, timestamp(entry.at), entry.data)
