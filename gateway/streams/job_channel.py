"""Follows one job: from memory, from its log, or from a snapshot of it."""

from collections.abc import Sequence

from actors.kernel.states import State
from gateway.http.context import Context
from gateway.jobs.handlers import owned
from gateway.principal import Principal
from gateway.streams.channel import NothingNew, Opening
from gateway.streams.cursor import BadCursor, Cursor, events_since
from gateway.streams.documents import EndEvent
from gateway.streams.events import Shown
from gateway.streams.hub import job_topic
from gateway.streams.opening import continuation, open_from_reading, open_from_ring, snapshot
from gateway.streams.watch import JobWatch


class JobChannel:
    """One watcher's way through one job."""

    __slots__ = ("_context", "_deleted", "_job", "_principal", "partition", "watch")

    def __init__(self, context: Context, principal: Principal, job: str) -> None:
        """Raises UnknownJobId."""
        self.partition = context.partitions.of_job(job)
        self.watch = JobWatch()
        self._context = context
        self._principal = principal
        self._job = job
        self._deleted = False
        """The job is no longer kept. Written by `catch_up`."""

    @property
    def topic(self) -> str:
        return job_topic(self._job)

    @property
    def ended(self) -> bool:
        return self._deleted or self.watch.ended

    @property
    def end(self) -> EndEvent:
        state = self.watch.end_state
        return EndEvent(self._job, None if state is None else State(state))

    async def open(self, cursor: Cursor | BadCursor | None) -> Opening | NothingNew:
        """Raises Problem JOB_NOT_FOUND or StoreUnavailable."""
        if isinstance(cursor, Cursor):
            ring = self._context.hub.ring(self.partition)
            opening = open_from_ring(cursor, ring, self.watch, self._job, self._principal.tenant)
            if opening is not None:
                return opening
        self.watch.begin_reading()
        reading = await self._context.reader.read(self._job)
        view = owned(reading.view, self._principal)
        return open_from_reading(cursor, view, reading, self.watch, self._context.kernel.retention_s)

    async def catch_up(self) -> Sequence[Shown]:
        """From the job's log where that proves to be all of it, else the whole job."""
        lost, seen = self.watch.lost, self.watch.rev
        self.watch.begin_reading()
        reading = await self._context.reader.read(self._job)
        view = reading.view
        if view is None or view.tenant != self._principal.tenant or not view.listed:
            self._deleted = True
            return ()
        rest = None if lost else events_since(seen, reading.log, view.rev)
        if rest is None:
            return snapshot("resync", view, reading, self.watch, self._context.kernel.retention_s)
        return continuation(view, rest, self.watch)
