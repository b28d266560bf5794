"""Durable events, progress and snapshots as they come from Redis, and their envelope on the wire."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from actors.kernel.states import TERMINAL
from actors.media.task import CompletedEvent
from gateway.jobs.documents import (
    OutputDocument,
    ReasonDocument,
    StoredReason,
    output_document,
    progress_document,
    reason_document,
)
from gateway.streams.documents import ProgressData
from gateway.streams.framing import content, frame, frame_chunk
from gateway.times import timestamp

TERMINAL_TYPES = frozenset(f"job.{state}" for state in TERMINAL)
PROGRESS = "job.progress"
NO_EPOCH = "0"
"""Stands for the epoch of a feed that is lost. It is no epoch, so a cursor made with it is never valid."""


_encoder = msgspec.json.Encoder()


class Envelope(msgspec.Struct, frozen=True):
    """What every event looks like, on every transport. `id` is null for progress, which is never replayed; `job` and
    `rev` are null for what is about all jobs of a tenant."""

    id: str | None
    type: str
    job: str | None
    rev: int | None
    at: str
    data: msgspec.Raw | ProgressData


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One durable event. `entry` is its id in the feed; `epoch` names the feed. Serialised once for each transport.

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
    _chunk: bytes = b""

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
        return _enveloped(self)

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame, with the framing of HTTP chunks when the connection uses it."""
        return _framed(self, chunked=chunked)

    def _serialise(self, identity: str | None) -> bytes:
        data = msgspec.Raw(event_data(self.type, self.job, self.data))
        return _encoder.encode(Envelope(identity, self.type, self.job, self.rev, timestamp(self.at_ms), data))


class Pulse(msgspec.Struct, kw_only=True, gc=False):
    """One report of progress, made under revision `rev`."""

    type: ClassVar[str] = PROGRESS
    id: ClassVar[None] = None
    """It has none, so it does not move the client's cursor."""
    partition: str
    job: str
    tenant: str
    rev: int
    at_ms: int
    percent: float
    progress: bytes
    reason: bytes
    _envelope: bytes = b""
    _chunk: bytes = b""

    @property
    def envelope(self) -> bytes:
        return _enveloped(self)

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame, as that of an event."""
        return _framed(self, chunked=chunked)

    def _serialise(self, identity: str | None) -> bytes:
        data = ProgressData(progress_document(self.percent, self.progress), reason_document(self.reason))
        return _encoder.encode(Envelope(identity, self.type, self.job, self.rev, timestamp(self.at_ms), data))


def _enveloped(item: Event | Pulse) -> bytes:
    """Its envelope, which is made once."""
    if not item._envelope:
        item._envelope = item._serialise(item.id)
    return item._envelope


def _framed(item: Event | Pulse, *, chunked: bool) -> bytes:
    """Its frame, which is made once, as a chunk."""
    if not item._chunk:
        identity = item.id
        item._chunk = frame_chunk(item.type, item._envelope or item._serialise(identity), identity)
    return item._chunk if chunked else content(item._chunk)


class Snapshot(msgspec.Struct, frozen=True):
    """Where things stand, as `snapshot` or, where a client's place was lost, `resync`. `id` is the cursor it gives."""

    type: Literal["snapshot", "resync"]
    id: str
    envelope: bytes

    def frame(self, *, chunked: bool) -> bytes:
        """The SSE frame."""
        return (frame_chunk if chunked else frame)(self.type, self.envelope, self.id)


Shown = Event | Pulse | Snapshot
"""What a watcher is shown."""


class _ReasonData(msgspec.Struct, frozen=True):
    reason: StoredReason | None = None


class _ShownReason(msgspec.Struct, frozen=True):
    reason: ReasonDocument | None


class _ShownOutputs(msgspec.Struct, frozen=True):
    outputs: tuple[OutputDocument, ...]


_outputs = msgspec.json.Decoder(CompletedEvent)
_reason = msgspec.json.Decoder(_ReasonData)


def event_data(kind: str, job: str, data: bytes) -> bytes:
    """An event's data as clients see it: outputs get their address, times their text. One line of JSON."""
    try:
        if kind == "job.completed":
            outputs = _outputs.decode(data).outputs
            return _encoder.encode(_ShownOutputs(tuple(output_document(job, facts) for facts in outputs)))
        if kind in ("job.retrying", "job.held") and (stored := _reason.decode(data).reason) is not None:
            return _encoder.encode(_ShownReason(reason_document(stored)))
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


_body = msgspec.json.Decoder(_FeedBody)
_PULSE_NAMES = [b"job", b"tenant", b"rev", b"at", b"percent", b"progress", b"reason"]
"""As actors/kernel/lua writes them."""


def read_event(partition: str, epoch: str, entry: str, tenant: bytes, written: bytes) -> Event:
    """An entry of the feed, whose one field is the tenant's name and the event. Raises ValueError when it is none."""
    body = _body.decode(written)
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
    names, values = named[::2], named[1::2]
    if names != _PULSE_NAMES:
        # Of a kernel that says more, or in another order.
        fields = dict(zip(names, values, strict=True))
        values = [fields[name] for name in _PULSE_NAMES]
    job, tenant, rev, at_ms, percent, progress, reason = values
    return Pulse(
        partition=partition,
        job=job.decode(),
        tenant=tenant.decode(),
        rev=int(rev),
        at_ms=int(at_ms),
        percent=float(percent),
        progress=progress,
        reason=reason,
    )
