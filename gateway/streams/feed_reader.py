"""Reads a tenant's events out of the feed of its partition: for watchers that memory cannot help, and for pages."""

import asyncio
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import redis.asyncio
import structlog

from actors.kernel import Partitions, persist
from gateway.streams.cursor import BEGINNING, Cursor
from gateway.streams.events import NO_EPOCH, Event, read_event
from gateway.streams.reader import PATIENCE_S

READ_COUNT = 1000
MOST_READS = 20
"""Reads for a watcher: beyond that it is told to begin anew, so that an old cursor costs no long search."""
AT_ONCE = 2
"""Searches of each kind that may be on their way; the others wait, so that a crowd of them stays a trickle."""

_log = structlog.get_logger(__name__)


class FeedPage(NamedTuple):
    """Events of one tenant in the order of the feed."""

    events: tuple[Event, ...]
    entry: str
    """How far the feed was looked through; the entry itself may be another tenant's."""
    whole: bool
    """There was no more at the time."""
    epoch: str | None


class FeedReader:
    """Searches that begin at a cursor whose own entry is still there; anything else could have lost events."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions) -> None:
        self._client = client
        self._partitions = partitions
        self._for_watchers = asyncio.Semaphore(AT_ONCE)
        self._for_pages = asyncio.Semaphore(AT_ONCE)
        self.calls = 0
        """Calls sent to Redis since the start."""

    async def after(self, tenant: str, cursor: Cursor, most: int) -> FeedPage | None:
        """At most so many events after `cursor`; None when they cannot be proved to be all, or lie too far behind.

        Raises StoreUnavailable.
        """
        async with self._for_watchers:
            return await persist(lambda: self._search(tenant, cursor, most, range(MOST_READS)), patience_s=PATIENCE_S)

    async def page(self, tenant: str, cursor: Cursor | None, most: int) -> FeedPage | None:
        """The same wherever they lie: whoever asks for a page has no snapshot to begin with. Without a cursor from the
        oldest entry, and then always a page. None when the cursor's entry, or one searched from, is no longer there.

        Raises StoreUnavailable.
        """

        async def search() -> FeedPage | None:
            return await self._search(tenant, cursor, most, itertools.count())

        async with self._for_pages:
            found = await persist(search, patience_s=PATIENCE_S)
            while found is None and cursor is None:
                # The feed was trimmed during the search: its oldest entry is another one now.
                found = await persist(search, patience_s=PATIENCE_S)
            return found

    async def _search(self, tenant: str, cursor: Cursor | None, most: int, reads: Iterable[int]) -> FeedPage | None:
        partition, owner = self._partitions.of_tenant(tenant), tenant.encode()
        epoch, entry = (cursor.epoch, cursor.entry) if cursor is not None else (None, BEGINNING)
        found: list[Event] = []
        for _ in reads:
            held, entries, known_epoch = await self._read(partition, entry)
            if epoch is None:
                epoch = known_epoch
            elif known_epoch != epoch:
                return None
            if entry != BEGINNING and not held:
                return None
            for identity, fields in entries:
                if (written := fields.get(owner)) is not None:
                    if len(found) == most:
                        return FeedPage(tuple(found), entry, whole=False, epoch=epoch)
                    found.extend(_readable(partition, epoch, identity.decode(), owner, written))
                entry = identity.decode()
            if len(entries) < READ_COUNT:
                return FeedPage(tuple(found), entry, whole=True, epoch=epoch)
        return FeedPage(tuple(found), entry, whole=False, epoch=epoch) if found else None

    async def _read(
        self, partition: str, entry: str
    ) -> tuple[bool, list[tuple[bytes, dict[bytes, bytes]]], str | None]:
        """Whether `entry` is still there, what follows it, and the epoch."""
        self.calls += 1
        keys = self._partitions.keys(partition)
        # The proof is read last: an entry that is there then was there while what follows it was read.
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xrange(keys.feed, f"({entry}", count=READ_COUNT)
            pipeline.xrange(keys.feed, entry, entry, count=1)
            pipeline.get(keys.epoch)
            entries, held, epoch = await pipeline.execute()
        return bool(held), entries, epoch.decode() if epoch else None


def _readable(partition: str, epoch: str | None, entry: str, tenant: bytes, written: bytes) -> tuple[Event, ...]:
    try:
        return (read_event(partition, epoch or NO_EPOCH, entry, tenant, written),)
    except ValueError:
        _log.error("event.unreadable", partition=partition, entry=entry)
        return ()
