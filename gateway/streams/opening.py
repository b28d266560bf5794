"""How the events of one job begin, and go on after a watcher had to read again. Pure: a reading in, items out."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from actors.kernel.views import JobView
from gateway.jobs.rendering import job_json
from gateway.streams.channel import NothingNew, Opening
from gateway.streams.cursor import BEGINNING, BadCursor, Cursor, events_after
from gateway.streams.events import NO_EPOCH, Envelope, Event, Pulse, Shown, Snapshot
from gateway.streams.reader import Reading
from gateway.streams.ring import Ring
from gateway.streams.watch import JobWatch
from gateway.times import timestamp


def open_from_ring(cursor: Cursor, ring: Ring, watch: JobWatch, job: str, tenant: str) -> Opening | None:
    """Continues from memory; None when the cursor is not in it, or the job is not the tenant's, or it has ended.

    A job that has ended may have been deleted since, which no event tells: only Redis knows.
    """
    found = ring.since(job, cursor.epoch, cursor.entry)
    if found is None or found[0].tenant != tenant:
        return None
    seen, rest = found
    last = rest[-1] if rest else seen
    if last.terminal:
        return None
    watch.show(last.rev, 0.0, 0, last.end_state)
    pulse = ring.pulse(job)
    return Opening([*rest, *(watch.resume(pulse) if pulse is not None else ())], "ring")


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
                watch.show(view.rev, view.percent, view.updated_at_ms, end_state_of(view))
                return NothingNew()
            return Opening(continuation(view, rest, watch), "log")
    return Opening(snapshot("resync", view, reading, watch, retention_s), "resync")


def continuation(view: JobView, rest: Sequence[Event], watch: JobWatch) -> list[Shown]:
    """The events the client has not seen, then where the progress stands."""
    rev = rest[-1].rev if rest else view.rev
    end_state = rest[-1].end_state if rest else end_state_of(view)
    watch.show(rev, view.percent, view.updated_at_ms, end_state)
    items: list[Shown] = list(rest)
    if end_state is None and view.progress is not None:
        items.append(
            Pulse(
                partition="",
                job=view.job,
                tenant=view.tenant,
                rev=rev,
                at_ms=view.updated_at_ms,
                percent=view.percent,
                progress=view.progress,
                reason=view.reason or b"",
            )
        )
    return items


def snapshot(
    kind: Literal["snapshot", "resync"], view: JobView, reading: Reading, watch: JobWatch, retention_s: float
) -> list[Shown]:
    """The whole job, with its own cursor; of a job that has ended its last event follows.

    The cursor lies before that one: who is cut off between the two is told of the end when it comes back.
    """
    last = [event for event in reading.log if event.rev == view.rev] if view.terminal else []
    entry = _before(view.rev, reading.log) if last else view.last_event
    identity = f"{reading.epoch or NO_EPOCH}.{entry}"
    document = msgspec.Raw(job_json(view, retention_s))
    envelope = Envelope(identity, kind, view.job, view.rev, timestamp(view.updated_at_ms), document)
    watch.show(view.rev, view.percent, view.updated_at_ms, end_state_of(view))
    return [Snapshot(kind, identity, msgspec.json.encode(envelope)), *last]


def _before(rev: int, log: Sequence[Event]) -> str:
    """The entry of the event before that revision; the beginning where the log does not hold it."""
    return next((event.entry for event in log if event.rev == rev - 1), BEGINNING)


def end_state_of(view: JobView) -> str | None:
    """The job's terminal state; None while it goes on."""
    return str(view.state) if view.terminal else None
