"""Pauses against a real Redis: noted once, copied into every partition."""

import pytest
import redis.asyncio

from actors.kernel import Partitions, RedisOptions, connect
from actors.kernel.pauses import Pause, Pauses
from tests.conftest import RedisServer
from tests.kernel.stages import server_ms


@pytest.fixture
def pauses(redis_client: redis.asyncio.Redis) -> Pauses:
    return Pauses(redis_client, Partitions(3))


async def test_a_pause_reaches_every_partition_and_a_resume_takes_it_away(
    redis_client: redis.asyncio.Redis, pauses: Pauses
) -> None:
    paused = await pauses.pause("fetch", "ada", 'the site asked "please stop"')
    assert await pauses.list() == [paused] == [Pause("fetch", "ada", paused.at_ms, 'the site asked "please stop"')]
    assert abs(paused.at_ms - await server_ms(redis_client)) < 5000
    for partition in ("00", "01", "02"):
        assert await redis_client.hkeys(f"rw:{{p{partition}}}:paused") == [b"fetch"]
    assert await pauses.resume("fetch")
    assert not await pauses.resume("fetch")
    assert await pauses.list() == []
    assert await redis_client.keys("*paused") == []


async def test_a_copy_is_exactly_what_is_noted(redis_client: redis.asyncio.Redis, pauses: Pauses) -> None:
    await pauses.pause("fetch", "ada")
    await redis_client.hset("rw:{p02}:paused", "store", "{}")
    notes = await pauses.notes()
    assert await pauses.copied("01") == notes
    assert await pauses.copied("02") != notes
    await pauses.copy("02", notes)
    assert await pauses.copied("02") == notes
    await pauses.copy("02", {})
    assert await redis_client.exists("rw:{p02}:paused") == 0


async def test_a_stage_can_be_paused_on_a_full_redis(own_redis_server: RedisServer) -> None:
    client = connect(RedisOptions(url=own_redis_server.url))
    pauses = Pauses(client, Partitions(1))
    await client.config_set("maxmemory", 1)
    await pauses.pause("fetch", "ada")
    assert await client.hkeys("rw:{p00}:paused") == [b"fetch"]
    await client.aclose()
