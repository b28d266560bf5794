"""What happens to a job, as typed events. A type or a form that is not known here passes as the JSON that it is."""

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.client.documents import Failure, Job, JobPage, Output, Progress, Reason, read_job

TERMINAL_TYPES = frozenset({"job.completed", "job.failed", "job.cancelled", "job.expired"})
HEARTBEAT, SNAPSHOT, RESYNC = "heartbeat", "snapshot", "resync"


class Progressed(msgspec.Struct, frozen=True):
    """`job.progress`: never replayed; its percent never falls."""

    progress: Progress
    reason: Reason | None = None


class AtStage(msgspec.Struct, frozen=True):
    """`job.queued`, `job.resumed` and `job.replayed`: where the job is. `start_at` is set when it waits for a time."""

    stage: str
    start_at: str | None = None


class Started(msgspec.Struct, frozen=True):
    """`job.started`: a worker works on the stage, for the so manieth time."""

    stage: str
    attempt: int = 1


class StageDone(msgspec.Struct, frozen=True):
    """`job.stage`: one stage is over, another one next."""

    done: str
    next: str


class Retrying(msgspec.Struct, frozen=True):
    """`job.retrying`: the stage is repeated, after an error at `next_at` (RFC 3339), or for another reason at once."""

    reason: Reason | None = None
    error: Failure | None = None
    next_at: str | None = None


class Held(msgspec.Struct, frozen=True):
    """`job.held`: the tenant's limit is reached, or it is not this job's turn."""

    reason: Reason | None = None


class Waiting(msgspec.Struct, frozen=True):
    """`job.waiting`: for its parts."""

    children: int = 0


class Completed(msgspec.Struct, frozen=True):
    """`job.completed`"""

    outputs: tuple[Output, ...] = ()


class Failed(msgspec.Struct, frozen=True):
    """`job.failed`"""

    error: Failure


class Cancelled(msgspec.Struct, frozen=True):
    """`job.cancelled`"""

    by: str = ""


class Expired(msgspec.Struct, frozen=True):
    """`job.expired`: its deadline (RFC 3339) has passed."""

    deadline: str | None = None


Data = (
    Job | JobPage | Progressed | AtStage | Started | StageDone | Retrying | Held | Waiting | Completed | Failed
    | Cancelled | Expired | dict[str, Any]
)  # fmt: skip

_READERS: dict[str, Callable[[bytes], Data]] = {
    "job.progress": msgspec.json.Decoder(Progressed).decode,
    "job.queued": msgspec.json.Decoder(AtStage).decode,
    "job.resumed": msgspec.json.Decoder(AtStage).decode,
    "job.replayed": msgspec.json.Decoder(AtStage).decode,
    "job.started": msgspec.json.Decoder(Started).decode,
    "job.stage": msgspec.json.Decoder(StageDone).decode,
    "job.retrying": msgspec.json.Decoder(Retrying).decode,
    "job.held": msgspec.json.Decoder(Held).decode,
    "job.waiting": msgspec.json.Decoder(Waiting).decode,
    "job.completed": msgspec.json.Decoder(Completed).decode,
    "job.failed": msgspec.json.Decoder(Failed).decode,
    "job.cancelled": msgspec.json.Decoder(Cancelled).decode,
    "job.expired": msgspec.json.Decoder(Expired).decode,
}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `id` and `rev` are set on durable ones, which are told once each and without a gap.

    `snapshot` and `resync` carry what is watched as it stands: the `Job`, or of a tenant's jobs the newest as a
    `JobPage`, then without `job` and `rev` of their own. After a `resync` something was missed, and `rev` may be lower
    than before. `document` is the event as it came, one line of JSON.
    """

    type: str
    id: str | None = None
    job: str = ""
    rev: int = 0
    at: str = ""
    data: Data
    document: bytes

    @property
    def terminal(self) -> bool:
        """Whether the job has ended with it."""
        return self.type in TERMINAL_TYPES


class _Envelope(msgspec.Struct, frozen=True):
    id: str | None = None
    type: str = ""
    job: str | None = None
    rev: int | None = None
    at: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Page(msgspec.Struct, frozen=True):
    events: tuple[msgspec.Raw, ...]
    next: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_object = msgspec.json.Decoder(dict[str, Any])
_page = msgspec.json.Decoder(_Page)


def read_event(
    document: bytes, kind: str = "", identity: str | None = None, whole: Callable[[bytes], Data] = read_job
) -> Event:
    """An event. `kind` and `identity` are what the stream says of it; `whole` reads snapshot and resync."""
    try:
        envelope = _envelope.decode(document)
    except msgspec.DecodeError:
        envelope = _Envelope()
    kind = envelope.type or kind
    data = bytes(envelope.data)
    read = whole if kind in (SNAPSHOT, RESYNC) else _READERS.get(kind, _object.decode)
    return Event(
        type=kind,
        id=envelope.id or identity,
        job=envelope.job or "",
        rev=envelope.rev or 0,
        at=envelope.at,
        data=_read(data, read) if data else _read(document, _object.decode),
        document=bytes(document),
    )


def read_events(document: bytes) -> tuple[tuple[Event, ...], str | None]:
    """A page of a job's timeline and the cursor of the next one. Raises msgspec.DecodeError."""
    page = _page.decode(document)
    return tuple(read_event(bytes(event)) for event in page.events), page.next


def _read(data: bytes, read: Callable[[bytes], Data]) -> Data:
    for reader in (read, _object.decode):
        try:
            return reader(data)
        except msgspec.DecodeError:
            continue
    return {}
