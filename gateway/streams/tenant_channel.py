"""Follows all jobs of a tenant, or those that carry one tag: from memory, from the feed, or from a snapshot of them."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.http.context import Context
from gateway.jobs.tags import tags_in
from gateway.principal import Principal
from gateway.streams.channel import Opening
from gateway.streams.cursor import BEGINNING, BadCursor, Cursor
from gateway.streams.events import NO_EPOCH, Envelope, Event, Shown, Snapshot
from gateway.streams.hub import tenant_topic
from gateway.streams.tenant_watch import Mark, TenantWatch
from gateway.times import now_ms, timestamp

CATCH_UP_EVENTS, CATCH_UP_BYTES = 256, 128 * 1024
"""What is written at once, of data, to a watcher that was behind; it goes on when its socket has taken that."""


class TenantChannel:
    """One watcher's way through the events of one tenant."""

    __slots__ = ("_context", "_tag", "_tenant", "partition", "watch")

    ended = False
    end = None
    """A tenant's events have none."""

    def __init__(self, context: Context, principal: Principal, tag: str | None) -> None:
        self.partition = context.partitions.of_tenant(principal.tenant)
        self.watch = TenantWatch(self._wants)
        self._context = context
        self._tenant = principal.tenant
        self._tag = tag

    @property
    def topic(self) -> str:
        return tenant_topic(self._tenant)

    async def open(self, cursor: Cursor | BadCursor | None) -> Opening:
        """Raises StoreUnavailable."""
        if isinstance(cursor, Cursor):
            self.watch.begin_reading()
            self.watch.resume(cursor.epoch, cursor.entry)
            found = await self._after()
            if found is not None:
                return Opening(found, "feed")
        return Opening(
            [await self._snapshot("snapshot" if cursor is None else "resync")],
            "snapshot" if cursor is None else "resync",
        )

    async def catch_up(self) -> Sequence[Shown]:
        """Raises StoreUnavailable."""
        if self.watch.unknown is not None and not self.watch.must_read:
            await self._context.tags.learn([self.watch.unknown])
            return ()
        lost = self.watch.lost
        self.watch.begin_reading()
        found = None if lost else await self._after()
        return [await self._snapshot("resync")] if found is None else found

    def _wants(self, job: str) -> bool | None:
        return True if self._tag is None else self._context.tags.carries(job, self._tag)

    async def _after(self) -> Sequence[Event] | None:
        """What follows the watch's place, as much as is written at once; None when that cannot be proved to be all."""
        place = Cursor(self.watch.epoch, self.watch.entry)
        if place.entry == BEGINNING:
            return None
        ring = self._context.hub.ring(self.partition)
        events = ring.of_tenant_since(self._tenant, place.epoch, place.entry, CATCH_UP_EVENTS + 1)
        is_whole = True
        if events is None:
            page = await self._context.feed_reader.after(self._tenant, place, CATCH_UP_EVENTS + 1)
            if page is None:
                return None
            events, is_whole = page.events, page.whole
        if self._tag is not None:
            await self._context.tags.learn({event.job for event in events})
        piece = _piece(events)
        if len(events) > len(piece) or not is_whole:
            # The rest is read when the socket has taken this.
            self.watch.must_read = True
        return self.watch.pass_by(piece)

    async def _snapshot(self, kind: Literal["snapshot", "resync"]) -> Snapshot:
        self.watch.begin_reading()
        # The last event of this tenant that was passed on before the jobs are read: what comes after it is held,
        # and the jobs are at least as far. Another tenant's entry would be as good, but it is nobody else's business.
        newest = self._context.hub.ring(self.partition).newest(self._tenant)
        entry = BEGINNING if newest is None else newest.entry
        epoch = (newest.epoch if newest else self._context.pump.epoch(self.partition)) or NO_EPOCH
        reading = await self._context.tenant_reader.read(self._tenant, self._tag)
        if self._tag is not None:
            for view in reading.views:
                self._context.tags.note(view.job, tags_in(view.spec))
        self.watch.show(
            epoch, entry, {view.job: Mark(view.rev, view.percent, view.updated_at_ms) for view in reading.views}
        )
        identity = f"{epoch}.{entry}"
        envelope = Envelope(identity, kind, None, None, timestamp(now_ms()), msgspec.Raw(reading.document))
        return Snapshot(kind, identity, msgspec.json.encode(envelope))


def _piece(events: Sequence[Event]) -> Sequence[Event]:
    """The first of them, and what follows it within the bounds."""
    size_bytes = 0
    for number, event in enumerate(events):
        size_bytes += len(event.data)
        if number and (number == CATCH_UP_EVENTS or size_bytes > CATCH_UP_BYTES):
            return events[:number]
    return events
