"""How a stream begins, and how it goes on after its watcher had to read again. Pure: a reading in, frames out."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from actors.kernel.views import JobView
from gateway.jobs.rendering import job_json
from gateway.streams.cursor import BadCursor, Cursor, events_after
from gateway.streams.events import NO_EPOCH, Envelope, Event, Pulse
from gateway.streams.framing import frame
from gateway.streams.reader import Reading
from gateway.streams.ring import Ring
from gateway.streams.watch import JobWatch
from gateway.times import timestamp


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The client has seen the terminal event: 204 tells an EventSource to stop."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client is sent first. The watch has been told that it was shown."""

    frames: Sequence[bytes]
    source: str
    """Where it came from, for the metric: snapshot, ring, log or resync."""


def open_from_ring(cursor: Cursor, ring: Ring, watch: JobWatch, job: str, tenant: str) -> Opening | NothingNew | None:
    """Continues from memory; None when the cursor is not in it, or the job is not the tenant's."""
    found = ring.since(job, cursor.epoch, cursor.entry)
    if found is None or found[0].tenant != tenant:
        return None
    seen, rest = found
    if seen.terminal and not rest:
        return NothingNew()
    last = rest[-1] if rest else seen
    watch.show(last.rev, 0.0, 0, last.end_state)
    frames = [event.frame(chunked=False) for event in rest]
    pulse = ring.pulse(job)
    if pulse is not None:
        frames += [shown.frame(chunked=False) for shown in watch.resume(pulse)]
    return Opening(frames, "ring")


def open_from_reading(
    cursor: Cursor | BadCursor | None, view: JobView, reading: Reading, watch: JobWatch, retention_s: float
) -> Opening | NothingNew:
    """Begins with a snapshot, continues after a good cursor, or says `resync`."""
    if cursor is None:
        return Opening(snapshot("snapshot", view, reading, watch, retention_s), "snapshot")
    if isinstance(cursor, Cursor):
        rest = events_after(cursor, reading.epoch, reading.log, view.rev)
        if rest is not None:
            if not rest and view.terminal:
                return NothingNew()
            return Opening(continuation(view, rest, watch), "log")
    return Opening(snapshot("resync", view, reading, watch, retention_s), "resync")


def continuation(view: JobView, rest: Sequence[Event], watch: JobWatch) -> list[bytes]:
    """The events the client has not seen, then where the progress stands."""
    rev = rest[-1].rev if rest else view.rev
    end_state = rest[-1].end_state if rest else end_state_of(view)
    watch.show(rev, view.percent, view.updated_at_ms, end_state)
    frames = [event.frame(chunked=False) for event in rest]
    if end_state is None and view.progress is not None:
        pulse = Pulse(
            partition="",
            job=view.job,
            tenant=view.tenant,
            rev=rev,
            at_ms=view.updated_at_ms,
            percent=view.percent,
            progress=view.progress,
            reason=view.reason or b"",
        )
        frames.append(pulse.frame(chunked=False))
    return frames


def snapshot(kind: str, view: JobView, reading: Reading, watch: JobWatch, retention_s: float) -> list[bytes]:
    """The whole job as `snapshot` or `resync`, with its own cursor; of a terminal job its last event follows."""
    identity = f"{reading.epoch or NO_EPOCH}.{view.last_event}"
    document = msgspec.Raw(job_json(view, retention_s))
    envelope = Envelope(identity, kind, view.job, view.rev, timestamp(view.updated_at_ms), document)
    frames = [frame(kind, msgspec.json.encode(envelope), identity)]
    watch.show(view.rev, view.percent, view.updated_at_ms, end_state_of(view))
    if view.terminal:
        frames += [event.frame(chunked=False) for event in reading.log if event.rev == view.rev]
    return frames


def end_state_of(view: JobView) -> str | None:
    """The job's terminal state; None while it goes on."""
    return str(view.state) if view.terminal else None


def ending(job: str, state: str | None) -> bytes:
    """The last frame of a stream that has nothing more to tell. `state` None: the job is no longer kept."""
    return frame("end", msgspec.json.encode({"job": job, "state": state}))


def reconnecting(reason: str, retry_ms: int) -> bytes:
    """Asks the client to come back: `reason` is draining, lifetime or overloaded."""
    head = f"retry: {retry_ms}\n".encode()
    return head + frame("reconnect", msgspec.json.encode({"reason": reason, "retry_ms": retry_ms}))
