"""Named limits in fetch: which addresses one applies to, and that it holds over workers."""

import asyncio

import msgspec
import pytest
import redis.asyncio

from actors.failures import TablePolicy
from actors.fetch.platforms import limit_name
from actors.kernel import KernelOptions, RedisOptions, Throttled
from actors.kernel.limits import Limits
from actors.kernel.system_scripts import SYSTEM
from actors.media.errors import MediaError
from actors.storage.local import LocalStorage
from tests.actors.fault_server import FaultServer, File
from tests.actors.tasks import fetch_task
from tests.actors.test_fetch_handler import make_fetch, spec
from tests.kernel.stages import eventually


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://www.youtube.com/watch?v=1", "youtube"),
        ("https://youtu.be/1", "youtube"),
        ("https://WWW.YouTube.com:443/watch?v=1", "youtube"),
        ("https://youtube.com.example.net/1", None),
        ("https://notyoutube.com/1", None),
        ("https://media.example.org/a.mp4", "media.example.org"),
        ("https://eu.media.example.org/a.mp4", "media.example.org"),
        ("https://www.example.org/a.mp4", "example.org"),
        ("https://vimeo.com/1", None),
        ("https://[not an address", None),
    ],
)
def test_the_most_exact_name_applies(address: str, name: str | None) -> None:
    assert limit_name(address, {"youtube", "example.org", "media.example.org"}) == name


async def test_a_site_is_read_by_no_more_than_its_limit(
    server: FaultServer, storage: LocalStorage, redis_url: str, redis_client: redis.asyncio.Redis
) -> None:
    """The second worker's job waits and spends no attempt; the place is free again when the first one has ended."""
    server.routes["/clip.mp4"] = File(b"x" * 200_000, pause_s=0.2)
    options = KernelOptions(lease_s=0.6, beat_s=0.15)
    workers = [Limits(RedisOptions(url=redis_url), {"127.0.0.1": 1}, options) for _ in range(2)]
    address = server.url("/clip.mp4")
    first, _ = fetch_task(spec(address))
    running = asyncio.create_task(make_fetch(storage, workers[0]).handle(first))
    await eventually(lambda: is_held(redis_client, 1))
    second, _ = fetch_task(spec(address))
    second.grant = msgspec.structs.replace(second.grant, fence="2.fedcba9876543210")
    with pytest.raises(Throttled) as refused:
        await make_fetch(storage, workers[1]).handle(second)
    decided = TablePolicy({"fetch": 6}).decide("fetch", 0, refused.value)
    assert (decided.cls, decided.code) == ("throttled", "LIMIT_REACHED")
    assert 1_000 <= decided.delay_ms <= 15_000
    running.cancel()
    await asyncio.wait({running})
    assert await is_held(redis_client, 0)
    for worker in workers:
        await worker.stop()


async def test_a_site_without_a_limit_is_not_counted(
    server: FaultServer, storage: LocalStorage, redis_url: str, redis_client: redis.asyncio.Redis
) -> None:
    server.routes["/page"] = File(b"<html></html>", content_type="text/plain")
    limits = Limits(RedisOptions(url=redis_url), {"youtube": 1}, KernelOptions())
    task, _ = fetch_task(spec(server.url("/page")))
    with pytest.raises(MediaError):
        await make_fetch(storage, limits).handle(task)
    assert await redis_client.keys(f"{SYSTEM}limit:*") == []
    await limits.stop()


async def is_held(client: redis.asyncio.Redis, count: int) -> bool:
    return await client.zcard(f"{SYSTEM}limit:127.0.0.1") == count
