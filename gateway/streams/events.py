"""Durable events, progress and snapshots as they come from Redis, and their envelope on the wire."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from actors.kernel.states import TERMINAL
from actors.media.task import CompletedEvent
from gateway.jobs.documents import (
    OutputDocument,
    ProgressDocument,
    ReasonDocument,
    StoredReason,
    output_document,
    progress_document,
    reason_document,
)
from gateway.streams.framing import chunk, frame
from gateway.times import timestamp

TERMINAL_TYPES = frozenset(f"job.{state}" for state in TERMINAL)
PROGRESS = "job.progress"
NO_EPOCH = "0"
"""Stands for the epoch of a feed that is lost. It is no epoch, so a cursor made with it is never valid."""


class Envelope(msgspec.Struct, frozen=True):
    """What every event looks like, on every transport. `id` is null for progress, which is never replayed; `job` and
    `rev` are null for what is about all jobs of a tenant."""

    id: str | None
    type: str
    job: str | None
    rev: int | None
    at: str
    data: msgspec.Raw


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One durable event. `entry` is its id in the feed; `epoch` names the feed. Serialised once per form.

    Not looked at by the garbage collector, as thousands are kept: it refers to nothing that could refer to it.
    """

    partition: str
    epoch: str
    entry: str
    type: str
    job: str
    tenant: str
    rev: int
    at_ms: int
    data: bytes
    _envelope: bytes = b""
    _plain: bytes = b""
    _chunked: bytes = b""

    @property
    def id(self) -> str:
        return f"{self.epoch}.{self.entry}"

    @property
    def terminal(self) -> bool:
        return self.type in TERMINAL_TYPES

    @property
    def end_state(self) -> str | None:
        """The state that this event ends the job in; None when it goes on."""
        return self.type.removeprefix("job.") if self.terminal else None

    @property
    def envelope(self) -> bytes:
        if not self._envelope:
            data = msgspec.Raw(event_data(self.type, self.job, self.data))
            self._envelope = msgspec.json.encode(
                Envelope(self.id, self.type, self.job, self.rev, timestamp(self.at_ms), data)
            )
        return self._envelope

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame, with the framing of HTTP chunks when the connection uses it."""
        return _framed(self, self.type, self.id, chunked=chunked)


class Pulse(msgspec.Struct, kw_only=True, gc=False):
    """One report of progress, made under revision `rev`."""

    partition: str
    job: str
    tenant: str
    rev: int
    at_ms: int
    percent: float
    progress: bytes
    reason: bytes
    _envelope: bytes = b""
    _plain: bytes = b""
    _chunked: bytes = b""

    @property
    def envelope(self) -> bytes:
        if not self._envelope:
            self._envelope = msgspec.json.encode(
                Envelope(None, PROGRESS, self.job, self.rev, timestamp(self.at_ms), self._data())
            )
        return self._envelope

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame. It has no id, so it does not move the client's cursor."""
        return _framed(self, PROGRESS, None, chunked=chunked)

    def _data(self) -> msgspec.Raw:
        document = _PulseData(progress_document(self.percent, self.progress), reason_document(self.reason))
        return msgspec.Raw(msgspec.json.encode(document))


def _framed(item: Event | Pulse, kind: str, identity: str | None, *, chunked: bool) -> bytes:
    """Its frame, which is made once for each form and kept."""
    framed = item._chunked if chunked else item._plain
    if not framed:
        framed = frame(kind, item.envelope, identity)
        if chunked:
            framed = item._chunked = chunk(framed)
        else:
            item._plain = framed
    return framed


class Snapshot(msgspec.Struct, frozen=True):
    """Where things stand, as `snapshot` or, where a client's place was lost, `resync`. `id` is the cursor it gives."""

    type: Literal["snapshot", "resync"]
    id: str
    envelope: bytes

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame."""
        plain = frame(self.type, self.envelope, self.id)
        return chunk(plain) if chunked else plain


Shown = Event | Pulse | Snapshot
"""What a watcher is shown."""


class _PulseData(msgspec.Struct, frozen=True):
    progress: ProgressDocument
    reason: ReasonDocument | None


class _ReasonData(msgspec.Struct, frozen=True):
    reason: StoredReason | None = None


class _ShownReason(msgspec.Struct, frozen=True):
    reason: ReasonDocument | None


class _ShownOutputs(msgspec.Struct, frozen=True):
    outputs: tuple[OutputDocument, ...]


def event_data(kind: str, job: str, data: bytes) -> bytes:
    """An event's data as clients see it: outputs get their address, times their text. One line of JSON."""
    try:
        if kind == "job.completed":
            outputs = msgspec.json.decode(data, type=CompletedEvent).outputs
            return msgspec.json.encode(_ShownOutputs(tuple(output_document(job, facts) for facts in outputs)))
        if kind in ("job.retrying", "job.held"):
            stored = msgspec.json.decode(data, type=_ReasonData).reason
            if stored is not None:
                return msgspec.json.encode(_ShownReason(reason_document(stored)))
    except msgspec.DecodeError:
        # Jobs of another kind carry data of another form. It is a JSON object and passes as it is.
        pass
    return msgspec.json.format(data, indent=-1) if b"\n" in data else data


class _FeedBody(msgspec.Struct, frozen=True):
    """What a feed entry holds: the event as in the job's log, without its id."""

    type: str
    job: str
    rev: int
    at: int
    data: msgspec.Raw


def read_event(partition: str, epoch: str, entry: str, tenant: bytes, written: bytes) -> Event:
    """An entry of the feed, whose one field is the tenant's name and the event. Raises ValueError when it is none."""
    body = msgspec.json.decode(written, type=_FeedBody)
    return Event(
        partition=partition,
        epoch=epoch,
        entry=entry,
        type=body.type,
        job=body.job,
        tenant=tenant.decode(),
        rev=body.rev,
        at_ms=body.at,
        data=bytes(body.data),
    )


def read_pulse(partition: str, named: Sequence[bytes]) -> Pulse:
    """An entry of the pulse: names and values in turn. Raises KeyError or ValueError when it is none."""
    fields = dict(zip(named[::2], named[1::2], strict=True))
    return Pulse(
        partition=partition,
        job=fields[b"job"].decode(),
        tenant=fields[b"tenant"].decode(),
        rev=int(fields[b"rev"]),
        at_ms=int(fields[b"at"]),
        percent=float(fields[b"percent"]),
        progress=fields[b"progress"],
        reason=fields[b"reason"],
    )
