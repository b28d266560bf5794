"""`/v1/events` without a stream: what happened to a tenant's jobs, page by page."""

from typing import Any

import aiohttp
import pytest
import redis.asyncio

from gateway.http.service import GatewayService
from gateway.streams import feed_reader
from gateway.streams.feed_reader import FeedReader
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.test_tenant_events import tagged


async def test_the_timeline_of_a_tenant_is_read_page_by_page(
    gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of others than a watcher would look through lie between two events of the tenant, and before the first."""
    monkeypatch.setattr(feed_reader, "READ_COUNT", 3)
    monkeypatch.setattr(feed_reader, "MOST_READS", 1)
    for number in range(4):
        await worker.submit(tenant=f"before-{number}")
    jobs = [await worker.submit(**tagged("odd" if number % 2 else "even")) for number in range(5)]
    for number in range(4):
        await worker.submit(tenant=f"another-{number}")
    await worker.submitter.cancel(jobs[0], "test")

    async def pages(**query: str) -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        after: dict[str, str] = {}
        while True:
            async with api.get("/v1/events", params={"limit": "2", **query, **after}) as response:
                assert response.status == 200
                page = await response.json()
            assert len(page["events"]) <= 2
            seen += [(event["type"], event["job"]) for event in page["events"]]
            if page["next"] is None:
                return seen
            after = {"after": page["next"]}

    whole = [("job.queued", job) for job in jobs] + [("job.cancelled", jobs[0])]
    assert await pages() == whole
    assert await pages(tag="even") == [(kind, job) for kind, job in whole if jobs.index(job) % 2 == 0]
    for cursor, status, code in (("nonsense", 400, "INVALID_CURSOR"), ("0.1-1", 410, "EVENTS_GONE")):
        async with api.get("/v1/events", params={"after": cursor}) as response:
            assert (response.status, (await response.json())["code"]) == (status, code)


async def test_pages_are_answered_although_the_feed_has_lost_its_identity(
    gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker, redis_client: redis.asyncio.Redis
) -> None:
    job = await worker.submit()
    await redis_client.delete(worker.partitions.keys("00").epoch)
    shown = []
    for path in (f"/v1/jobs/{job}/events", "/v1/events"):
        async with api.get(path) as response:
            shown += [event["id"] for event in (await response.json())["events"]]
    assert [identity.partition(".")[0] for identity in shown] == ["0", "0"]
    async with api.get("/v1/events", params={"after": shown[0]}) as response:
        assert (await response.json())["code"] == "EVENTS_GONE", "nothing proves that what follows is all"


async def test_a_feed_that_is_trimmed_while_it_is_looked_through_is_looked_through_again(
    api: aiohttp.ClientSession,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who names no event asks for what there is, and misses nothing of it."""
    monkeypatch.setattr(feed_reader, "READ_COUNT", 3)
    for number in range(4):
        await worker.submit(tenant=f"another-{number}")
    job = await worker.submit()
    read = FeedReader._read
    trimmed: list[int] = []

    async def read_and_trim(self: FeedReader, partition: str, entry: str) -> Any:
        answer = await read(self, partition, entry)
        if not trimmed:
            trimmed.append(await redis_client.xtrim(worker.partitions.keys(partition).feed, 1, approximate=False))
        return answer

    monkeypatch.setattr(FeedReader, "_read", read_and_trim)
    async with api.get("/v1/events") as response:
        assert response.status == 200
        assert [event["job"] for event in (await response.json())["events"]] == [job]
    assert trimmed == [4]
