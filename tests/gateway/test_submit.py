"""`POST /v1/jobs`: what is accepted, what is refused and how, and repeats under one Idempotency-Key."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import redis.asyncio

from actors.kernel import Keeper, KernelOptions, Partitions, read_job
from tests.gateway.conftest import StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.submitting import REQUEST, post

SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds")


async def test_a_job_is_accepted(api: aiohttp.ClientSession) -> None:
    job, response = await post(
        api,
        REQUEST | {"quality": "192k", "name": "my clip", "tags": ["a", "b"], "metadata": {"k": "v"}, "cache": "bypass"},
    )
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert list(job) == [
        "id", "rev", "state", "stage", "progress", "reason", "source", "format", "quality", "tags", "metadata",
        "outputs", "error", "parent", "children", "created_at", "updated_at", "expires_at", "deadline_at",
        "cancel_requested_at", "links",
    ]  # fmt: skip
    assert list(job["progress"]) == ["percent", "stage", "eta_s", "speed", "bytes_done", "bytes_total"]
    assert (job["state"], job["stage"], job["quality"], job["tags"]) == ("queued", "ingest", "192k", ["a", "b"])
    assert job["metadata"] == {"k": "v"}
    assert len(job["created_at"]) == len("2026-01-01T00:00:00.000Z")
    path = f"/v1/jobs/{job['id']}"
    assert job["links"] == {
        "self": path, "events": f"{path}/events", "outputs": f"{path}/outputs", "cancel": f"{path}/cancel",
        "retry": None, "parent": None, "children": None,
    }  # fmt: skip
    async with api.get(path) as response:
        assert await response.json() == job


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer", "hint"),
    [
        ("{", 400, "INVALID_JSON", None, ""),
        ("[]", 400, "INVALID_JSON", None, ""),
        (b"\xff", 400, "INVALID_JSON", None, ""),
        ("", 400, "INVALID_JSON", None, ""),
        ("[" * 100_000, 400, "INVALID_JSON", None, ""),
        ({"format": "mp3"}, 422, "INVALID_REQUEST", "/source", ""),
        ({"source": "https://a.example/x"}, 422, "INVALID_REQUEST", "/format", ""),
        (REQUEST | {"qualty": "192k"}, 422, "INVALID_REQUEST", "/qualty", "Did you mean `quality`?"),
        (REQUEST | {"a/b~c": 1}, 422, "INVALID_REQUEST", "/a~1b~0c", ""),
        (REQUEST | {"format": 3}, 422, "INVALID_REQUEST", "/format", ""),
        (REQUEST | {"tags": "a"}, 422, "INVALID_REQUEST", "/tags", ""),
        (REQUEST | {"tags": [1]}, 422, "INVALID_REQUEST", "/tags", ""),
        (REQUEST | {"metadata": "a"}, 422, "INVALID_REQUEST", "/metadata", ""),
        (REQUEST | {"metadata": {"a": 1}}, 422, "INVALID_REQUEST", "/metadata", ""),
        (REQUEST | {"metadata": {"": "v"}}, 422, "INVALID_OPTION", "/metadata/", ""),
        (REQUEST | {"metadata": {"a/b~" + "k" * 61: "v"}}, 422, "INVALID_OPTION", "/metadata/a~1b~0" + "k" * 61, ""),
        (REQUEST | {"metadata": {"k": "v" * 513}}, 422, "INVALID_OPTION", "/metadata/k", ""),
        (REQUEST | {"metadata": {str(n): "" for n in range(17)}}, 422, "INVALID_OPTION", "/metadata", ""),
        (REQUEST | {"source": []}, 422, "INVALID_SOURCE", "/source", ""),
        (REQUEST | {"source": ["https://a.example/x"] * 101}, 422, "INVALID_SOURCE", "/source", ""),
        (REQUEST | {"source": ["https://a.example/x", 7]}, 422, "INVALID_REQUEST", "/source", ""),
        (REQUEST | {"source": ["https://a.example/x", "clip.mp4"]}, 422, "INVALID_SOURCE", "/source/1", ""),
        (REQUEST | {"source": ["http://[::1]/x"]}, 422, "ADDRESS_REFUSED", "/source/0", "REELWAY_EGRESS_ALLOW"),
        (REQUEST | {"source": ["upload:nothing"]}, 422, "UPLOAD_NOT_FOUND", "/source/0", ""),
        (REQUEST | {"on_child_failure": "fail"}, 422, "INVALID_REQUEST", "/on_child_failure", "a list"),
        (
            REQUEST | {"source": ["https://a.example/x"], "on_child_failure": "stop"},
            422,
            "INVALID_REQUEST",
            "/on_child_failure",
            "",
        ),
        (REQUEST | {"cache": "maybe"}, 422, "INVALID_REQUEST", "/cache", ""),
        (REQUEST | {"priority": "urgent"}, 422, "INVALID_REQUEST", "/priority", ""),
        (REQUEST | {"priority": "hihg"}, 422, "INVALID_REQUEST", "/priority", "Did you mean `high`?"),
        (REQUEST | {"priorty": "high"}, 422, "INVALID_REQUEST", "/priorty", "Did you mean `priority`?"),
        (REQUEST | {"deadline_s": 0}, 422, "INVALID_REQUEST", "/deadline_s", ""),
        (REQUEST | {"deadline_s": 1e12}, 422, "INVALID_REQUEST", "/deadline_s", ""),
        (REQUEST | {"deadline_s": "1 h"}, 422, "INVALID_REQUEST", "/deadline_s", ""),
        (REQUEST | {"delay_s": -1}, 422, "INVALID_REQUEST", "/delay_s", ""),
        (REQUEST | {"delay_s": 1e9}, 422, "INVALID_REQUEST", "/delay_s", ""),
        (REQUEST | {"start_at": "tomorrow"}, 422, "INVALID_REQUEST", "/start_at", ""),
        (REQUEST | {"start_at": "2026-01-31T12:00:00"}, 422, "INVALID_REQUEST", "/start_at", ""),
        (REQUEST | {"start_at": 1e12}, 422, "INVALID_REQUEST", "/start_at", ""),
        (REQUEST | {"start_at": "2999-01-01T00:00:00Z"}, 422, "INVALID_REQUEST", "/start_at", "earlier"),
        (REQUEST | {"start_at": SOON, "delay_s": 5}, 422, "INVALID_REQUEST", "/delay_s", "one of them"),
        (REQUEST | {"format": "mp33"}, 422, "FORMAT_UNKNOWN", "/format", "Did you mean `mp3`?"),
        (REQUEST | {"quality": "12p"}, 422, "QUALITY_INVALID", "/quality", "192k"),
        (REQUEST | {"format": "flac", "quality": "192k"}, 422, "QUALITY_INVALID", "/quality", "mp3"),
        (REQUEST | {"source": "ftp://a.example/x"}, 422, "INVALID_SOURCE", "/source", ""),
        (REQUEST | {"source": "clip.mp4"}, 422, "INVALID_SOURCE", "/source", ""),
        (REQUEST | {"source": "upload:u00-01m7x4bzmengq4rc0p5ef3xxer"}, 422, "UPLOAD_NOT_FOUND", "/source", ""),
        (REQUEST | {"source": "upload:../../etc/passwd"}, 422, "UPLOAD_NOT_FOUND", "/source", ""),
        (REQUEST | {"source": "http://127.0.0.1/x"}, 422, "ADDRESS_REFUSED", "/source", "REELWAY_EGRESS_ALLOW"),
        (REQUEST | {"source": "http://2130706433/x"}, 422, "ADDRESS_REFUSED", "/source", ""),
        (REQUEST | {"source": "http://[::ffff:10.0.0.1]/x"}, 422, "ADDRESS_REFUSED", "/source", ""),
        (REQUEST | {"source": "http://localhost:8080/x"}, 422, "ADDRESS_REFUSED", "/source", ""),
        (REQUEST | {"name": "x" * 200_000}, 413, "BODY_TOO_LARGE", None, ""),
    ],
)
async def test_bad_requests_are_explained(
    api: aiohttp.ClientSession,
    redis_client: redis.asyncio.Redis,
    body: object,
    status: int,
    code: str,
    pointer: str | None,
    hint: str,
) -> None:
    problem, response = await post(api, body, status)
    assert response.content_type == "application/problem+json"
    assert problem["code"] == code
    assert problem["type"] == f"urn:reelway:problem:{code.lower().replace('_', '-')}"
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert all(problem[field] for field in ("title", "detail", "suggestion"))
    assert problem["status"] == status
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert hint in problem["errors"][0].get("suggestion", "")
    assert "Traceback" not in str(problem)
    assert await redis_client.keys("*job*") == [], "nothing was written"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"source": 1, "format": None, "colour": "red"}, {"/source", "/format", "/colour"}),
        ({"source": "ftp://x", "format": "mp33", "priority": "urgent"}, {"/source", "/format", "/priority"}),
        ({"source": "http://[::1]/x", "format": "flac", "quality": "1k"}, {"/source", "/quality"}),
        ({"source": ["a", "http://[::1]/x"], "format": 3, "quality": "1k"}, {"/source/0", "/source/1", "/format"}),
        ({"format": "mp33", "name": "", "cache": "no"}, {"/source", "/format", "/name", "/cache"}),
        ({"tags": [""], "delay_s": -1}, {"/source", "/format", "/tags/0", "/delay_s"}),
    ],
)
async def test_every_wrong_field_is_named(api: aiohttp.ClientSession, body: object, pointers: set[str]) -> None:
    problem, _ = await post(api, body, 422)
    assert {error["pointer"] for error in problem["errors"]} == pointers


async def test_allowed_private_networks(start_gateway: StartGateway) -> None:
    async with client_of(await start_gateway(egress__allow=("127.0.0.0/8",))) as api:
        await post(api, REQUEST | {"source": "http://127.0.0.1:9/x"})
        await post(api, REQUEST | {"source": "http://10.0.0.1/x"}, 422)


@pytest.mark.parametrize("key", ["abc-123", '"abc-123"', '"with \\"quotes\\" and \\\\"', "x" * 255])
async def test_the_same_request_is_one_job(api: aiohttp.ClientSession, worker: ScriptedWorker, key: str) -> None:
    first, _ = await post(api, REQUEST, key=key)
    # Another spelling of the same request.
    again, response = await post(api, {"format": "mp3", "quality": None, "source": REQUEST["source"]}, key=key)
    assert again["id"] == first["id"]
    assert response.headers["Location"] == f"/v1/jobs/{first['id']}"
    await worker.run(first["id"])
    finished, _ = await post(api, REQUEST, key=key)
    assert (finished["id"], finished["state"]) == (first["id"], "completed"), "the job as it is now"
    problem, _ = await post(api, REQUEST | {"format": "wav"}, 422, key=key)
    assert problem["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_quoted_and_bare_keys_are_the_same_key(api: aiohttp.ClientSession) -> None:
    first, _ = await post(api, REQUEST, key="k1")
    second, _ = await post(api, REQUEST, key='"k1"')
    assert first["id"] == second["id"]


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "two words", '"open', "ü"])
async def test_bad_idempotency_keys(api: aiohttp.ClientSession, key: str) -> None:
    problem, _ = await post(api, REQUEST, 400, key=key)
    assert problem["code"] == "INVALID_IDEMPOTENCY_KEY"


async def test_two_idempotency_keys(api: aiohttp.ClientSession) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with api.post("/v1/jobs", json=REQUEST, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, "INVALID_IDEMPOTENCY_KEY")


async def test_one_key_sent_at_once_makes_one_job(start_gateway: StartGateway) -> None:
    """Thirty requests under one key, at two gateways: one job, and every answer is that job or a refusal."""
    gateways = [client_of(await start_gateway()) for _ in range(2)]
    async with gateways[0] as one, gateways[1] as other:

        async def send(number: int) -> tuple[int, str]:
            body = REQUEST | ({"format": "wav"} if number % 3 == 0 else {})
            async with (one, other)[number % 2].post(
                "/v1/jobs", json=body, headers={"Idempotency-Key": "k"}
            ) as response:
                document = await response.json()
                return response.status, document.get("id", document.get("code"))

        answers = await asyncio.gather(*(send(number) for number in range(30)))
        async with one.get("/v1/jobs") as response:
            (job,) = (await response.json())["jobs"]
        assert set(answers) == {(202, job["id"]), (422, "IDEMPOTENCY_KEY_REUSED")}


async def test_a_repeat_finds_its_job_when_the_upload_is_gone(api: aiohttp.ClientSession) -> None:
    async with api.post("/v1/uploads", data=b"abc") as response:
        upload = (await response.json())["id"]
    request = {"source": f"upload:{upload}", "format": "mp3"}
    first, _ = await post(api, request, key="k")
    async with api.delete(f"/v1/uploads/{upload}") as response:
        assert response.status == 204
    again, _ = await post(api, request, key="k")
    assert again["id"] == first["id"]
    problem, _ = await post(api, request, 422)
    assert problem["code"] == "UPLOAD_NOT_FOUND"
    await post(api, request | {"format": "wav"}, 422, key="k")


async def test_a_repeat_of_a_deleted_job(
    start_gateway: StartGateway, worker: ScriptedWorker, redis_client: redis.asyncio.Redis, partitions: Partitions
) -> None:
    async with client_of(await start_gateway()) as api:
        first, _ = await post(api, REQUEST, key="k")
        await worker.run(first["id"])
        await Keeper(redis_client, partitions, KernelOptions()).retention("00", [first["id"]])
        await redis_client.delete(partitions.keys("00").job(first["id"]))
        problem, _ = await post(api, REQUEST, 410, key="k")
        assert problem["code"] == "JOB_GONE"


async def test_a_job_has_its_priority_and_deadline(
    api: aiohttp.ClientSession, redis_client: redis.asyncio.Redis, partitions: Partitions
) -> None:
    job, _ = await post(api, REQUEST | {"priority": "high", "deadline_s": 600})
    view = await read_job(redis_client, partitions, job["id"])
    assert view is not None
    assert (view.priority, view.deadline_ms - view.created_at_ms) == ("high", 600_000)
    assert await redis_client.xlen(partitions.keys("00").inbox("ingest", "cpu", "high")) == 1


@pytest.mark.parametrize("how", [{"delay_s": 3600}, {"start_at": SOON}])
async def test_a_job_that_starts_later(
    api: aiohttp.ClientSession, redis_client: redis.asyncio.Redis, partitions: Partitions, how: dict[str, object]
) -> None:
    job, _ = await post(api, REQUEST | how | {"deadline_s": 600})
    assert (job["state"], job["reason"]["code"]) == ("delayed", "SCHEDULED")
    if "start_at" in how:
        assert job["reason"]["until"] == SOON.replace("+00:00", "Z")
    starts_at = datetime.fromisoformat(job["reason"]["until"])
    assert timedelta(0) < starts_at - datetime.fromisoformat(job["created_at"]) <= timedelta(hours=1)
    ends_at = datetime.fromisoformat(job["deadline_at"])
    assert abs(ends_at - starts_at - timedelta(minutes=10)) < timedelta(seconds=1), "its time begins with its start"


async def test_a_start_that_has_passed_is_now(api: aiohttp.ClientSession) -> None:
    job, _ = await post(api, REQUEST | {"start_at": "2020-01-01T00:00:00+02:00"})
    assert (job["state"], job["reason"]) == ("queued", None)


async def test_metadata_belongs_to_the_request(api: aiohttp.ClientSession) -> None:
    asked = REQUEST | {"metadata": {"a": "1", "b": "2"}}
    first, _ = await post(api, asked, key="k")
    again, _ = await post(api, REQUEST | {"metadata": {"b": "2", "a": "1"}}, key="k")
    assert again["id"] == first["id"], "the order of its entries means nothing"
    await post(api, REQUEST, 422, key="k")
    await post(api, asked | {"metadata": {"a": "1"}}, 422, key="k")


async def test_terms_belong_to_the_request(api: aiohttp.ClientSession) -> None:
    """Under one key the same is asked for again, with the same priority and start."""
    asked = REQUEST | {"priority": "low", "start_at": SOON}
    first, _ = await post(api, asked, key="k")
    again, _ = await post(api, asked, key="k")
    assert again["id"] == first["id"]
    for other in ({"priority": "high"}, {"priority": "normal"}, {"deadline_s": 60}):
        await post(api, asked | other, 422, key="k")
    plain, _ = await post(api, REQUEST | {"priority": "normal", "deadline_s": None, "delay_s": None}, key="p")
    assert (await post(api, REQUEST, key="p"))[0]["id"] == plain["id"], "defaults may be left out"


async def test_too_much_that_waits_is_refused(start_gateway: StartGateway) -> None:
    async with client_of(await start_gateway(kernel__window=1, kernel__tenant_backlog=2)) as api:
        jobs = [(await post(api, REQUEST))[0] for _ in range(3)]
        assert [job["state"] for job in jobs] == ["queued", "held", "held"]
        assert jobs[1]["reason"]["code"] == "TURN_AWAITED"
        problem, response = await post(api, REQUEST, 429, key="k")
        assert problem["code"] == "TENANT_BACKLOG"
        assert int(response.headers["Retry-After"]) > 0
        async with api.post(f"/v1/jobs/{jobs[2]['id']}/cancel") as response:
            assert response.status == 200
        await post(api, REQUEST, key="k")
    async with client_of(await start_gateway(kernel__partition_jobs=3)) as api:
        problem, response = await post(api, REQUEST, 503)
        assert problem["code"] == "SERVER_BACKLOG"
        assert int(response.headers["Retry-After"]) > 0
