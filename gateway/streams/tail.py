"""Reads the feeds and the progress of some partitions and hands every entry to the hub, once and in order.

One blocking XREAD serves all of them, always from concrete ids. An XREAD from an id that is no longer in its stream
answers without an error, so with every read the tail confirms that the entry it read from is still there (or is the
stream's last id, or the beginning of a stream that was never trimmed) and that the feed's epoch is the same. Where that
fails, every watcher of the partition is told to read again. The proof is looked for when the read was answered: an
entry that is there then was there all the time. For a partition that had news in the last round it travels behind the
next read, which saves a round trip; for one that wakes up it is a call of its own. All are looked at once a second, so
that a primary whose end of the feed was lost in a failover is noticed as well.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
import structlog
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from actors.kernel.connection import jittered
from actors.kernel.keys import Partitions
from actors.kernel.reading import Entry, by_stream, xread
from gateway.streams.cursor import BEGINNING, place_of
from gateway.streams.events import NO_EPOCH, read_event, read_pulse
from gateway.streams.hub import Hub

READ_COUNT = 1000
TICK_S = 0.005
"""Pause after a read that brought something: what arrives meanwhile travels together."""
YIELD_AFTER = 500
PROOF_S = 1.0
LONGEST_PAUSE_S = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Place:
    """Where a tail stands in one partition. Written by the tail alone."""

    partition: str
    feed: str = BEGINNING
    pulse: str = BEGINNING
    epoch: str | None = None
    known: bool = field(default=False)
    """The place was read from Redis once."""


class Tail:
    """`run` never ends by itself: whatever breaks, it goes on from its places."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        partitions: Partitions,
        together: Sequence[str],
        hub: Hub,
        *,
        feed_length: int,
        block_ms: int,
    ) -> None:
        """`together`: the partitions of this tail; one read covers their keys."""
        self._client = client
        self._partitions = partitions
        self._hub = hub
        self._feed_length = feed_length
        self._block_ms = block_ms
        self._places = {partition: Place(partition) for partition in together}
        self._lively: tuple[Place, ...] = ()
        """Those whose feed had news in the last round. Written by `_round`."""
        self._proved_at_s = 0.0
        """When all were looked at."""
        self._answered_at_s = 0.0
        self._backlog_s = 0.0
        self.started = asyncio.Event()
        """Set once the places were found."""
        self.connected = False
        """The last call was answered."""
        self.restarts = 0
        self.holes = 0
        self.events = 0

    def epoch(self, partition: str) -> str | None:
        """The epoch of a partition's feed, as it was last seen."""
        return self._places[partition].epoch

    @property
    def lag_s(self) -> float:
        """How far this tail may be behind Redis: since the last answer, plus what it then had still to read."""
        if not self.started.is_set():
            return float("inf")
        return max(0.0, time.monotonic() - self._answered_at_s - self._block_ms / 1000) + self._backlog_s

    async def run(self) -> None:
        """Reads until cancelled."""
        delay_s = 0.05
        while True:
            try:
                await self._find_places()
                while True:
                    await self._round()
                    delay_s = 0.05
            except (RedisError, OSError) as error:
                _log.warning("pump.interrupted", partitions=list(self._places), error=type(error).__name__)
            except Exception:  # noqa: BLE001 - a tail never ends; its watchers read again
                _log.exception("pump.failed")
                for partition in self._places:
                    self._hub.lose(partition)
            self.connected = False
            self.restarts += 1
            await asyncio.sleep(jittered(delay_s))
            delay_s = min(delay_s * 2, LONGEST_PAUSE_S)

    async def _find_places(self) -> None:
        """At the first start, the ends of all streams; later, whether the places still hold."""
        await self._prove(tuple(self._places.values()))
        self._answered()
        self.started.set()

    async def _round(self) -> None:
        streams: dict[str, str] = {}
        for place in self._places.values():
            keys = self._partitions.keys(place.partition)
            streams[keys.feed] = place.feed
            streams[keys.pulse] = place.pulse
        asked = self._to_prove()
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*xread(streams, count=READ_COUNT, block_ms=self._block_ms))
            self._ask_for_proof(pipeline, asked)
            read, *proof = await pipeline.execute()
        self._answered()
        news = by_stream(read)
        await self._judge_all(asked, proof)
        self._lively = tuple(
            place for place in self._places.values() if self._partitions.keys(place.partition).feed in news
        )
        await self._prove(tuple(place for place in self._lively if place not in asked))
        for place in self._places.values():
            await self._pass_on(place, news)
        if news:
            await asyncio.sleep(TICK_S)

    def _to_prove(self) -> tuple[Place, ...]:
        now_s = time.monotonic()
        if now_s - self._proved_at_s < PROOF_S:
            return self._lively
        self._proved_at_s = now_s
        return tuple(self._places.values())

    async def _pass_on(self, place: Place, news: dict[str, list[Entry]]) -> None:
        keys = self._partitions.keys(place.partition)
        entries = news.get(keys.feed, [])
        if entries and place_of(entries[0][0].decode()) <= place_of(place.feed):
            # A hole has moved the place to the end meanwhile.
            entries = [entry for entry in entries if place_of(entry[0].decode()) > place_of(place.feed)]
        # Events before progress: a report made under a revision follows the event of that revision.
        for number, (entry, fields) in enumerate(entries, start=1):
            place.feed = identity = entry.decode()
            try:
                tenant, written = fields
                event = read_event(place.partition, place.epoch or NO_EPOCH, identity, tenant, written)
            except ValueError:
                _log.error("event.unreadable", partition=place.partition, entry=identity)
                continue
            self.events += 1
            self._hub.event(event)
            if number % YIELD_AFTER == 0:
                await asyncio.sleep(0)
        for number, (entry, fields) in enumerate(news.get(keys.pulse, ()), start=1):
            place.pulse = entry.decode()
            try:
                self._hub.pulse(read_pulse(place.partition, fields))
            except (KeyError, ValueError):
                _log.error("pulse.unreadable", partition=place.partition, entry=place.pulse)
            if number % YIELD_AFTER == 0:
                await asyncio.sleep(0)
        self._note_backlog(news.get(keys.feed, []))

    async def _prove(self, places: tuple[Place, ...]) -> None:
        if not places:
            return
        async with self._client.pipeline(transaction=False) as pipeline:
            self._ask_for_proof(pipeline, places)
            proof = await pipeline.execute()
        await self._judge_all(places, proof)

    def _ask_for_proof(self, pipeline: Pipeline, places: tuple[Place, ...]) -> None:
        """Two commands for each: the epoch, and the entry that was read from or, where there is none, the length."""
        for place in places:
            keys = self._partitions.keys(place.partition)
            pipeline.get(keys.epoch)
            if place.feed == BEGINNING:
                pipeline.xlen(keys.feed)
            else:
                pipeline.xrange(keys.feed, place.feed, place.feed, count=1)

    async def _judge_all(self, places: tuple[Place, ...], proof: Sequence[Any]) -> None:
        for number, place in enumerate(places):
            epoch, found = proof[2 * number : 2 * number + 2]
            await self._judge(place, epoch.decode() if epoch else None, found)

    async def _judge(self, place: Place, epoch: str | None, found: Any) -> None:
        """`found`: what `_ask_for_proof` was answered."""
        if not place.known:
            await self._go_to_end(place, epoch)
            place.known = True
            return
        if place.feed == BEGINNING:
            # The feed did not exist. It is read from its first entry while it is too short to have been trimmed.
            whole = found < self._feed_length
            if whole and place.epoch in (None, epoch):
                place.epoch = epoch
                return
        elif epoch == place.epoch and (found or await self._last_entry(place) == place.feed):
            return
        self.holes += 1
        _log.warning("feed.hole", partition=place.partition)
        await self._go_to_end(place, epoch)
        self._hub.lose(place.partition)

    async def _go_to_end(self, place: Place, epoch: str | None) -> None:
        keys = self._partitions.keys(place.partition)
        # Both ends before either is written: a connection that breaks between them must not hide the hole.
        feed, pulse = await self._end(keys.feed), await self._end(keys.pulse)
        place.feed, place.pulse = feed, pulse
        # A feed that does not exist has no identity: the next one is read from its first entry, whatever its epoch.
        place.epoch = None if feed == BEGINNING else epoch

    async def _last_entry(self, place: Place) -> str:
        return await self._end(self._partitions.keys(place.partition).feed)

    async def _end(self, stream: str) -> str:
        """The last id that a stream has given out; its entry may be trimmed."""
        try:
            facts = await self._client.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return BEGINNING
            raise
        return str(facts["last-generated-id"].decode())

    def _answered(self) -> None:
        self.connected = True
        self._answered_at_s = time.monotonic()
        self._backlog_s = 0.0

    def _note_backlog(self, entries: list[Entry]) -> None:
        if len(entries) == READ_COUNT:
            behind_s = time.time() - int(entries[-1][0].partition(b"-")[0]) / 1000
            self._backlog_s = max(self._backlog_s, behind_s)
