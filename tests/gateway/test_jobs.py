"""`/v1/jobs`: show, wait, list, cancel, timeline."""

import asyncio
import time

import aiohttp
import pytest
from yarl import URL

from gateway.http.service import GatewayService
from tests.gateway.conftest import StartGateway, client_of
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.submitting import REQUEST, post


async def test_etags(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job, _ = await post(api, REQUEST)
    path = f"/v1/jobs/{job['id']}"

    async def get(known: str | None = None) -> tuple[int, str]:
        async with api.get(path, headers={"If-None-Match": known} if known else {}) as response:
            return response.status, response.headers["ETag"]

    _, tag = await get()
    assert tag.startswith('"1-')
    assert await get(tag) == (304, tag)
    assert (await get(f'"x", W/{tag}'))[0] == 304
    grant = await worker.take("ingest")
    status, second = await get(tag)
    assert (status, second.startswith('"2-')) == (200, True)
    await worker.beat(grant, 1.5)
    status, third = await get(second)
    assert (status, third.startswith('"2-'), third != second) == (200, True, True), "progress changes the body"


async def test_waiting_for_the_end(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job, _ = await post(api, REQUEST)
    path = f"/v1/jobs/{job['id']}"

    async def wait() -> tuple[str, str]:
        async with api.get(path, headers={"Prefer": "respond-async, wait=20"}) as response:
            return (await response.json())["state"], response.headers["Preference-Applied"]

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await worker.run(job["id"])
    ended_at = time.monotonic()
    assert await waiting == ("completed", "wait=20")
    assert time.monotonic() - ended_at < 1
    assert (await wait())[0] == "completed", "of a finished job it returns at once"


async def test_waiting_for_the_next_event(
    gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker
) -> None:
    job, response = await post(api, REQUEST)
    headers = {"Prefer": "wait=20", "If-None-Match": response.headers["ETag"]}
    waiting = asyncio.create_task(api.get(f"/v1/jobs/{job['id']}", headers=headers).__aenter__())
    await eventually(gateway.context.hub.watchers)
    await worker.take("ingest")
    answer = await waiting
    assert (answer.status, (await answer.json())["state"]) == (200, "running")
    headers = {"Prefer": "wait=0", "If-None-Match": answer.headers["ETag"]}
    async with api.get(f"/v1/jobs/{job['id']}", headers=headers) as response:
        assert response.status == 304
    assert gateway.context.hub.watchers() == 0


async def test_headers_of_several_lines_are_one(
    gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker
) -> None:
    job, response = await post(api, REQUEST)
    path, tag = f"/v1/jobs/{job['id']}", response.headers["ETag"]
    headers = [
        ("If-None-Match", '"x"'),
        ("If-None-Match", f"W/{tag}"),
        ("Prefer", "respond-async"),
        ("Prefer", "wait=0"),
    ]
    async with api.get(path, headers=headers) as response:
        assert (response.status, response.headers["Preference-Applied"]) == (304, "wait=0")
    # It knows the first revision and the second, which is the job's: the answer waits for the third.
    grant = await worker.take("ingest")
    async with api.get(path) as response:
        headers[0] = ("If-None-Match", response.headers["ETag"])
    headers[2:] = [("Prefer", "respond-async"), ("Prefer", "wait=20")]
    waiting = asyncio.create_task(api.get(path, headers=headers).__aenter__())
    await eventually(gateway.context.hub.watchers)
    await worker.next(grant, "fetch")
    answer = await waiting
    assert (answer.status, (await answer.json())["stage"]) == (200, "fetch")
    async with api.get(
        f"{path}/events", headers=[("Accept", "text/html"), ("Accept", "text/event-stream")]
    ) as response:
        assert response.content_type == "text/event-stream"


async def test_head_is_get_without_its_body(api: aiohttp.ClientSession) -> None:
    job, _ = await post(api, REQUEST)
    for path in (f"/v1/jobs/{job['id']}", "/v1/jobs?limit=1", f"/v1/jobs/{job['id']}/outputs"):
        async with api.get(path) as got, api.head(path) as head:
            assert (head.status, await head.read()) == (200, b"")
            for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control", "Link"):
                assert head.headers.get(name) == got.headers.get(name), (path, name)
    async with api.head(f"/v1/jobs/{job['id']}", headers={"If-None-Match": "*"}) as head:
        assert (head.status, "ETag" in head.headers) == (304, True)


async def test_waiting_is_answered_when_the_gateway_drains(start_gateway: StartGateway, worker: ScriptedWorker) -> None:
    gateway = await start_gateway()
    async with client_of(gateway) as api:
        job, _ = await post(api, REQUEST)
        waiting = asyncio.create_task(api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=30"}).__aenter__())
        await eventually(gateway.context.hub.watchers)
        await gateway.drain()
        async with asyncio.timeout(2):
            assert (await waiting).status == 200


async def test_the_list(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    jobs = [(await post(api, REQUEST))[0]["id"] for _ in range(5)]
    cancelled = jobs[2]
    async with api.post(f"/v1/jobs/{cancelled}/cancel") as response:
        assert response.status == 200

    async def pages(query: str) -> list[list[str]]:
        found, following = [], ""
        while following is not None:
            async with api.get(f"/v1/jobs?{query}{following and '&cursor=' + following}") as response:
                page = await response.json()
                assert response.status == 200, page
                assert list(page) == ["jobs", "next"]
            found.append([job["id"] for job in page["jobs"]])
            following = page["next"]
        return found

    assert [job for page in await pages("limit=2") for job in page] == jobs[::-1]
    assert await pages("limit=200") == [jobs[::-1]]
    assert [job for page in await pages("state=cancelled") for job in page] == [cancelled]
    assert [job for page in await pages("state=queued&limit=3") for job in page] == [
        job for job in jobs[::-1] if job != cancelled
    ]


async def test_the_list_of_a_tag(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    tagged = [(await post(api, REQUEST | {"tags": ["a b", str(number % 2)]}))[0]["id"] for number in range(4)]
    await post(api, REQUEST)
    async with api.post(f"/v1/jobs/{tagged[0]}/cancel") as response:
        assert response.status == 200
    for query, expected in (
        ("tag=a%20b", tagged[::-1]),
        ("tag=0", [tagged[2], tagged[0]]),
        ("tag=0&state=cancelled", [tagged[0]]),
        ("tag=unknown", []),
    ):
        async with api.get(f"/v1/jobs?{query}") as response:
            assert [job["id"] for job in (await response.json())["jobs"]] == expected, query


async def test_the_link_to_the_next_page(api: aiohttp.ClientSession) -> None:
    jobs = [(await post(api, REQUEST | {"tags": ['a>"&b']}))[0]["id"] for _ in range(3)]
    found, address = [], "/v1/jobs?limit=2&state=queued&tag=a%3E%22%26b"
    while address:
        async with api.get(URL(address, encoded=True)) as response:
            page, link = await response.json(), response.links.get("next")
        found += [job["id"] for job in page["jobs"]]
        assert (link is None) == (page["next"] is None)
        address = URL(str(link["url"])).raw_path_qs if link else ""
    assert found == jobs[::-1]


@pytest.mark.parametrize(
    ("query", "code", "hint"),
    [
        ("tag=", "INVALID_PARAMETER", "1 to 64"),
        ("tag=" + "x" * 65, "INVALID_PARAMETER", "1 to 64"),
        ("state=done", "INVALID_PARAMETER", "completed"),
        ("limit=0", "INVALID_PARAMETER", "200"),
        ("limit=9999", "INVALID_PARAMETER", "200"),
        ("limit=ten", "INVALID_PARAMETER", "200"),
        ("limt=5", "INVALID_PARAMETER", "Did you mean `limit`?"),
        ("limit=5&limit=6", "INVALID_PARAMETER", "once"),
        ("cursor=rubbish", "INVALID_CURSOR", "next"),
        ("cursor=" + "9" * 6000, "INVALID_CURSOR", "next"),
    ],
)
async def test_bad_list_requests(api: aiohttp.ClientSession, query: str, code: str, hint: str) -> None:
    async with api.get(f"/v1/jobs?{query}") as response:
        problem = await response.json()
        assert (response.status, problem["code"]) == (400, code)
        assert hint in problem["suggestion"]


async def test_cancel(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job, _ = await post(api, REQUEST)
    path = f"/v1/jobs/{job['id']}"
    for _ in range(2):
        async with api.post(f"{path}/cancel") as response:
            assert (response.status, (await response.json())["state"]) == (200, "cancelled")

    running, _ = await post(api, REQUEST)
    grant = await worker.take("ingest")
    for _ in range(2):
        async with api.post(f"/v1/jobs/{running['id']}/cancel") as response:
            document = await response.json()
            assert (response.status, document["state"]) == (202, "running")
            assert document["cancel_requested_at"] is not None
    assert await worker.next(grant, "fetch") == "CANCELLED"
    async with api.post(f"/v1/jobs/{running['id']}/cancel") as response:
        assert response.status == 200

    done, _ = await post(api, REQUEST)
    await worker.run(done["id"])
    for _ in range(2):
        async with api.post(f"/v1/jobs/{done['id']}/cancel") as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (409, "ILLEGAL_STATE")
            assert "completed" in problem["detail"]


async def test_a_completed_and_a_failed_job(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    done, _ = await post(api, REQUEST)
    await worker.run(done["id"])
    failed, _ = await post(api, REQUEST)
    await worker.fail(await worker.take("ingest"))
    delayed, _ = await post(api, REQUEST)
    await worker.fail(await worker.take("ingest"), permanent=False, delay_ms=60_000)
    async with api.get(f"/v1/jobs/{done['id']}") as response:
        job = await response.json()
        assert job["outputs"] == [
            {
                "name": "clip.mp3", "type": "audio/mpeg", "size_bytes": 5, "sha256": "0" * 64, "duration_s": 8.0,
                "codecs": {"video": None, "audio": "mp3"}, "width": None, "height": None,
                "url": f"/v1/jobs/{done['id']}/outputs/clip.mp3",
            }
        ]  # fmt: skip
        assert job["expires_at"] > job["updated_at"]
    async with api.get(f"/v1/jobs/{failed['id']}") as response:
        job = await response.json()
        assert job["error"] == {
            "code": "NOT_MEDIA", "message": "No media.", "suggestion": "Send media.", "retryable": False,
        }  # fmt: skip
    async with api.get(f"/v1/jobs/{delayed['id']}") as response:
        job = await response.json()
        assert (job["state"], job["error"]) == ("delayed", None)
        assert (job["reason"]["code"], job["reason"]["until"] > job["updated_at"]) == ("NET_TEMP", True)


async def test_the_timeline(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job, _ = await post(api, REQUEST)
    await worker.run(job["id"])
    path = f"/v1/jobs/{job['id']}/events"
    async with api.get(path) as response:
        whole = await response.json()
    assert [event["rev"] for event in whole["events"]] == list(range(1, 10))
    assert list(whole["events"][0]) == ["id", "type", "job", "rev", "at", "data"]
    assert (whole["next"], whole["events"][-1]["type"]) == (None, "job.completed")
    pages, after = [], ""
    while after is not None:
        async with api.get(f"{path}?limit=4{after and '&after=' + after}") as response:
            page = await response.json()
        pages += page["events"]
        after = page["next"]
    assert pages == whole["events"]
    epoch = whole["events"][0]["id"].split(".")[0]
    for cursor, status, code in ((f"{epoch}.1-1", 410, "EVENTS_GONE"), ("x", 400, "INVALID_CURSOR")):
        async with api.get(f"{path}?after={cursor}") as response:
            assert (response.status, (await response.json())["code"]) == (status, code)
