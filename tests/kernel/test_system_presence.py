"""Presence against a real Redis: who works here, and that the silent are forgotten."""

from dataclasses import dataclass

import redis.asyncio

from actors.kernel import RedisOptions, connect
from actors.kernel.presence import KEYS, Announcer, WorkerFacts, forget_silent, list_workers
from actors.kernel.system_scripts import SystemScripts
from tests.conftest import RedisServer
from tests.kernel.stages import eventually, server_ms

STEP_MS = 600_000
FACTS = (
    b'{"stage":"fetch","lane":"cpu","slots":4,"running":0,"host":"node-1","pid":7,"version":"1","uptime_ms":0,'
    b'"life_ms":30000}'
)


@dataclass
class Worker:
    """What an announcer asks of its worker."""

    worker_name: str
    name: str = "transcode"
    lane: str = "gpu"
    slots: int = 2
    running: int = 1
    quarantine: str = ""
    draining: bool = False


async def announce(client: redis.asyncio.Redis, name: str, life_ms: int, facts: bytes = FACTS) -> None:
    await SystemScripts(client).call("announce", KEYS, [name, facts, life_ms])


async def test_a_worker_is_listed_with_its_facts(redis_url: str, redis_client: redis.asyncio.Redis) -> None:
    before_ms = await server_ms(redis_client)
    announcer = Announcer(RedisOptions(url=redis_url), Worker("w-1", running=2), "1.2.3")
    await announcer.start()
    try:
        (facts,) = await listed(redis_client, 1)
    finally:
        await announcer.stop()
    after_ms = await server_ms(redis_client)
    assert (facts.name, facts.stage, facts.lane, facts.slots, facts.running) == ("w-1", "transcode", "gpu", 2, 2)
    assert (facts.version, facts.quarantine, facts.draining) == ("1.2.3", "", False)
    assert facts.pid > 0
    assert facts.host
    assert before_ms <= facts.seen_at_ms <= after_ms
    assert before_ms - 1000 <= facts.started_at_ms <= facts.seen_at_ms


async def test_an_ended_worker_is_gone_at_once(redis_url: str, redis_client: redis.asyncio.Redis) -> None:
    announcer = Announcer(RedisOptions(url=redis_url), Worker("w-1"), "1")
    await announcer.start()
    await listed(redis_client, 1)
    await announcer.stop()
    assert await list_workers(redis_client) == []
    assert await redis_client.exists(*KEYS) == 0


async def test_a_drain_is_announced_without_waiting_for_the_next_turn(
    redis_url: str, redis_client: redis.asyncio.Redis
) -> None:
    worker = Worker("w-1")
    announcer = Announcer(RedisOptions(url=redis_url), worker, "1", life_s=60)
    await announcer.start()
    try:
        await listed(redis_client, 1)
        worker.draining = True
        await announcer.drain()
        await eventually(lambda: drains(redis_client), 2.0)
    finally:
        await announcer.stop()


async def test_a_silent_worker_is_not_listed_and_its_row_goes(redis_client: redis.asyncio.Redis) -> None:
    await announce(redis_client, "there", life_ms=30_000)
    await announce(redis_client, "silent", life_ms=1)
    await eventually(lambda: absent(redis_client, "silent"), 2.0)
    assert await redis_client.hexists(KEYS[0], "silent")
    assert await forget_silent(redis_client) == ["silent"]
    assert await redis_client.hkeys(KEYS[0]) == [b"there"]
    assert await redis_client.zrange(KEYS[1], 0, -1) == [b"there"]


async def test_others_remove_the_rows_of_the_silent_in_passing(redis_client: redis.asyncio.Redis) -> None:
    await announce(redis_client, "silent", life_ms=1)
    await eventually(lambda: absent(redis_client, "silent"), 2.0)
    await announce(redis_client, "there", life_ms=30_000)
    assert await redis_client.hkeys(KEYS[0]) == [b"there"]


async def test_a_clock_that_stepped_back_keeps_nobody_for_long(redis_client: redis.asyncio.Redis) -> None:
    await announce(redis_client, "dead", life_ms=30_000)
    await redis_client.zincrby(KEYS[1], STEP_MS, "dead")
    await announce(redis_client, "there", life_ms=30_000)
    ends = await redis_client.zscore(KEYS[1], "dead")
    assert ends is not None
    assert ends <= await server_ms(redis_client) + 60_000


async def test_hundreds_of_workers_are_listed_in_pages(redis_client: redis.asyncio.Redis) -> None:
    for number in range(250):
        await announce(redis_client, f"w-{number:03d}", life_ms=30_000)
    assert [worker.name for worker in await list_workers(redis_client)] == [f"w-{number:03d}" for number in range(250)]


async def test_facts_of_another_version_do_not_hide_the_others(redis_client: redis.asyncio.Redis) -> None:
    await announce(redis_client, "odd", life_ms=30_000, facts=b'{"stage":7}')
    await announce(redis_client, "newer", life_ms=30_000, facts=FACTS[:-1] + b',"colour":"blue"}')
    assert [worker.name for worker in await list_workers(redis_client)] == ["newer"]


async def test_workers_stay_known_on_a_full_redis(own_redis_server: RedisServer) -> None:
    client = connect(RedisOptions(url=own_redis_server.url))
    await client.config_set("maxmemory", 1)
    await announce(client, "there", life_ms=30_000)
    assert [worker.name for worker in await list_workers(client)] == ["there"]
    await client.aclose()


async def test_an_announcer_outlives_a_redis_that_is_away(own_redis_server: RedisServer) -> None:
    announcer = Announcer(RedisOptions(url=own_redis_server.url), Worker("w-1"), "1", life_s=0.4)
    own_redis_server.kill()
    await announcer.start()
    own_redis_server.start()
    client = connect(RedisOptions(url=own_redis_server.url))
    await listed(client, 1)
    await announcer.stop()
    await client.aclose()


async def listed(client: redis.asyncio.Redis, count: int) -> list[WorkerFacts]:
    found: list[WorkerFacts] = []

    async def there() -> bool:
        found[:] = await list_workers(client)
        return len(found) == count

    await eventually(there, 5.0, lambda: f"{len(found)} workers are listed, not {count}")
    return found


async def absent(client: redis.asyncio.Redis, name: str) -> bool:
    return name not in {worker.name for worker in await list_workers(client)}


async def drains(client: redis.asyncio.Redis) -> bool:
    return [worker.draining for worker in await list_workers(client)] == [True]
