"""A list of sources: one batch with a job for each. The stage ingest is real; a scripted worker does the rest."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from actors.kernel import Grant, read_log
from actors.places import storage_of
from actors.reaper.uploads import UploadCollector
from actors.run import build_services
from actors.settings import StorageSettings
from tests.gateway.conftest import MakeSettings, StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.submitting import post

SOURCES = [f"https://media.example/{name}.mp4" for name in "abc"]
BATCH = {"source": SOURCES, "format": "mp3"}


@pytest.fixture
async def ingest(make_settings: MakeSettings) -> AsyncIterator[None]:
    services = build_services(("ingest",), make_settings())
    for service in services:
        await service.start()
    for service in services:
        await service.ready()
    yield
    for service in services:
        await service.stop()


class Family:
    """A batch whose jobs wait for fetch, and what becomes of them."""

    def __init__(self, api: aiohttp.ClientSession, worker: ScriptedWorker, batch: str) -> None:
        self.api = api
        self.worker = worker
        self.batch = batch

    async def read(self, number: int | None = None) -> dict[str, Any]:
        name = self.batch if number is None else f"{self.batch}.{number}"
        async with self.api.get(f"/v1/jobs/{name}") as response:
            document: dict[str, Any] = await response.json()
            assert response.status == 200, document
            return document

    async def until(self, *states: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while (document := await self.read())["state"] not in states:  # noqa: ASYNC110 - read as a client does
                await asyncio.sleep(0.01)
        return document

    async def take(self, count: int) -> dict[int, Grant]:
        """The jobs of the batch at fetch, by their number, once so many wait there."""
        keys = self.worker.partitions.keys("00")
        grants: dict[int, Grant] = {}
        async with asyncio.timeout(10):
            while await self.worker.client.xlen(keys.inbox("fetch", "cpu", "normal")) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _ in range(count):
            grant = await self.worker.take("fetch")
            grants[int(grant.job.rpartition(".")[2])] = grant
        return grants

    async def counts(self) -> dict[str, int]:
        children: dict[str, int] = (await self.read())["children"]
        return {name: count for name, count in children.items() if count}


async def begin(api: aiohttp.ClientSession, worker: ScriptedWorker, **fields: object) -> Family:
    job, response = await post(api, BATCH | fields)
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    return Family(api, worker, job["id"])


async def test_each_source_is_a_job(api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None) -> None:
    asked = {"tags": ["t"], "metadata": {"k": "v"}, "quality": "192k", "priority": "high"}
    job, _ = await post(api, BATCH | asked)
    family = Family(api, worker, job["id"])
    assert job["children"] == {"total": 3, "open": 3, "completed": 0, "failed": 0, "cancelled": 0, "expired": 0}
    assert (job["source"], job["format"], job["tags"], job["outputs"]) == (None, "mp3", ["t"], [])
    assert job["links"]["children"] == f"/v1/jobs?parent={job['id']}"
    batch = await family.until("waiting")
    assert batch["reason"] == {
        "code": "CHILDREN_AWAITED", "message": "3 of its parts are still being worked on.", "until": None,
    }  # fmt: skip
    async with api.get(batch["links"]["children"]) as response:
        page = await response.json()
    assert [child["source"] for child in page["jobs"]] == SOURCES, "in the order of the request"
    for number, child in enumerate(page["jobs"], start=1):
        assert (child["id"], child["parent"]) == (f"{job['id']}.{number}", job["id"])
        assert child["links"]["parent"] == f"/v1/jobs/{job['id']}"
        assert {name: child[name] for name in ("format", "quality", "tags", "metadata", "deadline_at")} == {
            name: batch[name] for name in ("format", "quality", "tags", "metadata", "deadline_at")
        }
        assert (child["children"], child["links"]["children"]) == (None, None)
    async with api.get("/v1/jobs") as response:
        listed = {row["id"] for row in (await response.json())["jobs"]}
    assert listed == {job["id"], *(f"{job['id']}.{number}" for number in (1, 2, 3))}


async def test_a_batch_completes_when_one_succeeded(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker)
    grants = await family.take(3)
    await worker.beat(grants[1], 60)
    assert (await family.read())["progress"]["percent"] == pytest.approx(21.3, abs=0.1), "its own is that of its jobs"
    await worker.done(grants[1])
    await worker.fail(grants[2])
    assert await family.counts() == {"total": 3, "open": 1, "completed": 1, "failed": 1}
    assert (await family.read())["reason"]["message"] == "1 of its parts is still being worked on."
    await worker.done(grants[3])
    batch = await family.until("completed", "failed")
    assert (batch["state"], batch["progress"]["percent"], batch["outputs"]) == ("completed", 100.0, [])
    assert await family.counts() == {"total": 3, "completed": 2, "failed": 1}
    assert len((await family.read(1))["outputs"]) == 1
    async with api.get(f"/v1/jobs/{family.batch}/outputs") as response:
        assert (await response.json()) == {"outputs": []}
    async with api.get(f"/v1/jobs/{family.batch}/events") as response:
        events = (await response.json())["events"]
    assert [event["type"] for event in events] == [
        "job.queued", "job.started", "job.waiting", "job.queued", "job.started", "job.completed",
    ]  # fmt: skip
    async with api.post(f"/v1/jobs/{family.batch}.2/retry") as response:
        problem = await response.json()
        assert (response.status, problem["code"]) == (409, "PARENT_NOT_WAITING")
        assert problem["suggestion"] == "Submit its source as a new job."


async def test_a_batch_fails_when_none_succeeded_and_a_retry_begins_again_with_all(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker)
    for grant in (await family.take(3)).values():
        await worker.fail(grant)
    batch = await family.until("completed", "failed")
    assert (batch["state"], batch["error"]["code"]) == ("failed", "CHILD_FAILED")
    assert await family.counts() == {"total": 3, "failed": 3}
    async with api.post(f"/v1/jobs/{family.batch}.2/retry") as response:
        problem = await response.json()
        assert (response.status, problem["code"]) == (409, "PARENT_NOT_WAITING")
        assert family.batch in problem["suggestion"]
    async with api.post(f"/v1/jobs/{family.batch}/retry") as response:
        assert response.status == 202
    await family.until("waiting")
    assert await family.counts() == {"total": 3, "open": 3}
    for grant in (await family.take(3)).values():
        await worker.done(grant)
    assert (await family.until("completed", "failed"))["state"] == "completed"
    assert await family.counts() == {"total": 3, "completed": 3}


async def test_one_job_of_a_waiting_batch_is_retried(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker)
    grants = await family.take(3)
    await worker.fail(grants[2])
    async with api.post(f"/v1/jobs/{family.batch}.2/retry") as response:
        assert response.status == 202
    assert await family.counts() == {"total": 3, "open": 3}
    await worker.done((await family.take(1))[2])
    for number in (1, 3):
        await worker.done(grants[number])
    assert (await family.until("completed"))["children"]["completed"] == 3


async def test_the_first_failure_may_end_all_of_them(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker, on_child_failure="fail")
    grants = await family.take(3)
    await worker.fail(grants[2])
    batch = await family.until("failed")
    assert batch["error"]["code"] == "CHILD_FAILED"
    assert await family.counts() == {"total": 3, "failed": 1, "cancelled": 2}
    assert [(await family.read(number))["state"] for number in (1, 3)] == ["cancelled", "cancelled"]
    async with api.post(f"/v1/jobs/{family.batch}/retry") as response:
        assert (response.status, (await response.json())["state"]) == (202, "waiting")
    for grant in (await family.take(3)).values():
        await worker.done(grant)
    assert (await family.until("completed"))["children"]["completed"] == 3


async def test_cancel_and_delete_reach_all_of_them(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker)
    await worker.done((await family.take(1))[1])
    await family.until("waiting")
    async with api.delete(f"/v1/jobs/{family.batch}") as response:
        assert (response.status, (await response.json())["code"]) == (409, "ILLEGAL_STATE")
    async with api.post(f"/v1/jobs/{family.batch}/cancel") as response:
        assert (response.status, (await response.json())["state"]) == (200, "cancelled")
    assert await family.counts() == {"total": 3, "completed": 1, "cancelled": 2}
    assert [(await family.read(number))["state"] for number in (1, 2, 3)] == ["completed", "cancelled", "cancelled"]
    async with api.delete(f"/v1/jobs/{family.batch}") as response:
        assert response.status == 204
    for name in (family.batch, *(f"{family.batch}.{number}" for number in (1, 2, 3))):
        async with api.get(f"/v1/jobs/{name}") as response:
            assert response.status == 404
    async with api.get("/v1/jobs") as response:
        assert (await response.json())["jobs"] == []


async def test_uploads_are_kept_as_long_as_the_batch_may_need_them(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None, make_settings: MakeSettings
) -> None:
    """A job of the batch that failed can be retried while the batch waits, and then needs its source again."""
    uploads = []
    for _ in range(2):
        async with api.post("/v1/uploads", data=b"abc") as response:
            uploads.append((await response.json())["id"])
    job, _ = await post(api, BATCH | {"source": [f"upload:{upload}" for upload in uploads]})
    family = Family(api, worker, job["id"])
    storage = storage_of(make_settings())
    tomorrow_s = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    collector = UploadCollector(
        worker.client, worker.partitions, storage, StorageSettings(uploads_s=3600.0), lambda: tomorrow_s
    )
    await collector.collect()
    grants = await family.take(2)
    assert [grants[number].refs for number in (1, 2)] == [(f"uploads/{upload}",) for upload in uploads]
    await worker.fail(grants[2])
    await collector.collect()
    assert [await storage.exists(f"uploads/{upload}") for upload in uploads] == [True, True]
    await worker.done(grants[1])
    await family.until("completed")
    await collector.collect()
    assert [await storage.exists(f"uploads/{upload}") for upload in uploads] == [False, False]


async def test_a_batch_is_one_request_under_one_key(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    first, _ = await post(api, BATCH, key="k")
    again, _ = await post(api, BATCH | {"on_child_failure": "go_on"}, key="k")
    assert again["id"] == first["id"]
    for other in ({"on_child_failure": "fail"}, {"source": SOURCES[:2]}, {"source": SOURCES[0]}):
        await post(api, BATCH | other, 422, key="k")
    await Family(api, worker, first["id"]).until("waiting")
    log = await read_log(worker.client, worker.partitions, first["id"])
    assert [entry.type for entry in log].count("job.queued") == 1


async def test_a_hundred_sources(api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None) -> None:
    sources = [f"https://media.example/{number}.mp4" for number in range(100)]
    job, _ = await post(api, BATCH | {"source": sources})
    batch = await Family(api, worker, job["id"]).until("waiting")
    assert batch["children"]["open"] == 100
    found: list[str] = []
    address = f"{batch['links']['children']}&limit=40"
    while address:
        async with api.get(address) as response:
            page = await response.json()
            link = response.headers.get("Link")
        found += [child["source"] for child in page["jobs"]]
        assert (link is None) == (page["next"] is None)
        address = link[1:].partition(">")[0] if link else ""
    assert found == sources


async def test_the_jobs_of_a_batch_by_tag_and_state(
    api: aiohttp.ClientSession, worker: ScriptedWorker, ingest: None
) -> None:
    family = await begin(api, worker, tags=["t"])
    await worker.fail((await family.take(3))[2])
    for query, expected in (("state=failed", [2]), ("state=running&tag=t", [1, 3]), ("tag=u", []), ("limit=1", [1])):
        async with api.get(f"/v1/jobs?parent={family.batch}&{query}") as response:
            ids = [child["id"] for child in (await response.json())["jobs"]]
        assert ids == [f"{family.batch}.{number}" for number in expected], query
    async with api.get(f"/v1/jobs?parent={family.batch}.1") as response:
        assert await response.json() == {"jobs": [], "next": None}, "it has none"
    theirs = await worker.submit(tenant="other")
    for query, status, code in (
        (f"parent={family.batch}&cursor=1-{family.batch}", 400, "INVALID_CURSOR"),
        (f"parent={family.batch}&cursor=-1", 400, "INVALID_CURSOR"),
        (f"parent={family.batch}&cursor={'9' * 5000}", 400, "INVALID_CURSOR"),
        ("parent=nonsense", 404, "JOB_NOT_FOUND"),
        ("parent=j00-01jd0000000000000000000000", 404, "JOB_NOT_FOUND"),
        (f"parent={theirs}", 404, "JOB_NOT_FOUND"),
    ):
        async with api.get(f"/v1/jobs?{query}") as response:
            assert (response.status, (await response.json())["code"]) == (status, code), query


@pytest.mark.parametrize(
    ("setting", "status", "code"),
    [("kernel__tenant_backlog", 429, "TENANT_BACKLOG"), ("kernel__partition_jobs", 503, "SERVER_BACKLOG")],
)
async def test_there_must_be_room_for_all_of_them(
    start_gateway: StartGateway, setting: str, status: int, code: str
) -> None:
    async with client_of(await start_gateway(**{setting: 4})) as api:
        problem, response = await post(api, BATCH | {"source": SOURCES * 2}, status)
        assert (problem["code"], "Retry-After" in response.headers) == (code, True)
        await post(api, BATCH)


async def test_sources_that_are_too_long_together(api: aiohttp.ClientSession) -> None:
    sources = [f"https://media.example/{'x' * 1000}{number}" for number in range(100)]
    problem, _ = await post(api, BATCH | {"source": sources}, 413)
    assert problem["code"] == "BODY_TOO_LARGE"
