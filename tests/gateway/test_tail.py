"""One tail, round by round: how far it is behind, whom it lets go first, and what it looks at while nothing happens."""

import asyncio
import math
import time
from collections import Counter
from typing import Any

import pytest
import redis.asyncio

from actors.kernel import Partitions, end_tasks
from gateway.http.health import LONGEST_LAG_S, readiness_of
from gateway.http.service import GatewayService
from gateway.streams import tail as tails
from gateway.streams.events import NO_EPOCH, Event, Pulse
from gateway.streams.hub import Hub, job_topic
from gateway.streams.ring import Ring
from gateway.streams.tail import PROOF_S, Tail
from tests.gateway.events import feed_entry
from tests.gateway.pausing import paused
from tests.gateway.polling import eventually
from tests.gateway.test_ring_and_hub import Listener

BEHIND_S = 60.0
JOB = "j00-a"
PROGRESS: dict[Any, Any] = {"job": JOB, "tenant": "default", "rev": 1, "at": 0, "progress": "", "reason": ""}


@pytest.fixture
def hub() -> Hub:
    return Hub({"00": Ring(100, 1 << 20)})


@pytest.fixture
async def tail(redis_client: redis.asyncio.Redis, partitions: Partitions, hub: Hub) -> Tail:
    """Has found its places, and reads when it is told to."""
    tail = Tail(redis_client, partitions, list(partitions), hub, feed_length=100, block_ms=10)
    assert tail.lag_s == math.inf, "where it will begin is not known"
    await tail._find_places()
    return tail


async def test_a_pump_that_is_not_answered_makes_the_gateway_unready_until_it_is(
    gateway: GatewayService, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = gateway.context.pump
    (tail,) = pump.tails
    async with paused(gateway, monkeypatch):
        tail._answered_at_s -= BEHIND_S
        assert LONGEST_LAG_S < BEHIND_S - 2 < pump.lag_s <= BEHIND_S + 2
        assert not (await readiness_of(gateway.context)).ready
    await eventually(lambda: pump.lag_s < 1)
    assert (await readiness_of(gateway.context)).ready


async def test_what_is_still_to_be_read_counts_as_lag(
    redis_client: redis.asyncio.Redis, partitions: Partitions, hub: Hub, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that brought as much as one may has left something: at most as old as its last entry."""
    monkeypatch.setattr(tails, "READ_COUNT", 5)
    assert tail.lag_s < 1
    began_ms = int((time.time() - BEHIND_S) * 1000)
    for number in range(7):
        await redis_client.xadd(partitions.keys("00").feed, feed_entry(number + 1, JOB), id=f"{began_ms + number}-0")
    await tail._round()
    assert (tail.events, len(hub.ring("00"))) == (5, 5)
    newest = hub.ring("00").newest("default")
    assert newest is not None
    assert newest.id == f"{NO_EPOCH}.{began_ms + 4}-0", "a feed without an identity gives cursors that none takes up"
    assert BEHIND_S - 1 < tail.lag_s < BEHIND_S + 10
    await tail._round()
    assert tail.events == 7
    assert tail.lag_s < 1


async def test_others_have_their_turn_within_a_long_read(
    redis_client: redis.asyncio.Redis, partitions: Partitions, hub: Hub, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "YIELD_AFTER", 10)
    turns = 0
    seen: list[tuple[type, int]] = []

    class Noting(Listener):
        def _hear(self, item: Event | Pulse) -> None:
            seen.append((type(item), turns))

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    hub.watch(job_topic(JOB), Noting())
    keys = partitions.keys("00")
    async with redis_client.pipeline(transaction=True) as pipeline:
        for number in range(1, 51):
            pipeline.xadd(keys.feed, feed_entry(number, JOB))
            pipeline.xadd(keys.pulse, PROGRESS | {"rev": 50, "percent": number})
        await pipeline.execute()
    turning = asyncio.create_task(turn())
    await tail._round()
    await end_tasks([turning])
    assert [kind for kind, _ in seen] == [Event] * 50 + [Pulse] * 50
    assert list(Counter(seen).values()) == [10] * 10


async def test_all_are_looked_at_once_a_second_and_those_with_news_each_time(
    redis_client: redis.asyncio.Redis, partitions: Partitions, tail: Tail
) -> None:
    assert [place.partition for place in tail._to_prove()] == ["00"]
    assert tail._to_prove() == ()
    await redis_client.xadd(partitions.keys("00").feed, feed_entry(1, JOB))
    await tail._round()
    assert [place.partition for place in tail._to_prove()] == ["00"]
    await tail._round()
    assert tail._to_prove() == ()
    tail._proved_at_s -= PROOF_S
    assert [place.partition for place in tail._to_prove()] == ["00"]


@pytest.mark.parametrize("begun", [True, False], ids=["read from", "still empty"])
async def test_a_feed_in_the_place_of_another_is_told_although_nothing_happens_in_it(
    redis_client: redis.asyncio.Redis, partitions: Partitions, hub: Hub, tail: Tail, *, begun: bool
) -> None:
    """Also where nothing was read of the other yet: what came in between is lost."""
    keys = partitions.keys("00")
    listener = Listener()
    hub.watch(job_topic(JOB), listener)
    await redis_client.set(keys.epoch, "one")
    if begun:
        await redis_client.xadd(keys.feed, feed_entry(1, JOB))
        await tail._go_to_end(tail._places["00"], "one")
    tail._proved_at_s = -PROOF_S
    await tail._round()
    assert (tail.epoch("00"), tail.holes) == ("one", 0)
    await redis_client.set(keys.epoch, "two")
    tail._proved_at_s = -PROOF_S
    await tail._round()
    assert (tail.epoch("00"), tail.holes, listener.lost) == ("two" if begun else None, 1, 1)
    assert listener.heard == []
