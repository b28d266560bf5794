"""Each kind of process does all it does as its own user of the Compose installation's Redis, and nothing is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis

from actors.kernel import (
    Beat,
    Child,
    Commit,
    End,
    Endpoint,
    Fail,
    Grant,
    Keeper,
    KernelOptions,
    Partitions,
    Pulse,
    RedisOptions,
    Release,
    Spawn,
    Submission,
    Submitter,
    Worker,
    admit,
    connect,
    new_nonce,
)
from actors.kernel.doorbell import Doorbell
from actors.kernel.limits import Limits
from actors.kernel.system_scripts import SYSTEM, SystemScripts
from actors.places import storage_of
from actors.reaper import Reaper
from gateway.http.service import GatewayService
from tests.conftest import RedisServer
from tests.deploy.redis_installation import KERNEL, KEY, options, secrets, server, settings_of, tester
from tests.kernel.stages import eventually

__all__ = ["options", "secrets", "server", "tester"]

BODY = b'{"code":"X","message":"x"}'
SPEC = b'{"source":"https://media.example/clip.mp4","format":"mp3"}'


class Worked:
    """A worker that does all that workers do."""

    def __init__(self, options: RedisOptions) -> None:
        self.client = connect(options)
        self._options = options
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys("00")
        self.worker = Worker(self.client, self.partitions, KERNEL, "worker")

    async def take(self, stage: str, want: int = 1) -> list[Grant]:
        inboxes = [self.keys.inbox(stage, "cpu", order) for order in ("again", "alone", "normal")]
        return (await self.worker.take("00", inboxes, want, new_nonce())).grants

    async def every_verb(self) -> str:
        """Seven jobs of `fetch` wait; returns the one that died."""
        await admit(self.client, self.partitions)
        keeper = Keeper(self.client, self.partitions, KERNEL)
        await keeper.set_endpoint("acme", "log", Endpoint({"job.completed": True}, "log", 60_000))
        await keeper.drop_endpoint("acme", "other")
        first, second, third, fourth = await self.take("fetch", 4)
        worker = self.worker
        assert await worker.beat("00", [Beat(first.job, first.fence, 10.0)]) == [Pulse.OK]
        assert await worker.commit("00", [Commit(first.job, first.fence, "next", "store", "cpu", b"{}")]) == [End.OK]
        assert await worker.fail("00", [Fail(second.job, second.fence, "transient", 0, 2, BODY, BODY)]) == [End.OK]
        assert await worker.fail("00", [Fail(third.job, third.fence, "permanent", 0, 2, BODY, BODY)]) == [End.OK]
        assert await worker.release("00", [Release(fourth.job, fourth.fence, BODY)]) == [End.OK]
        (store,) = await self.take("store")
        assert await worker.commit("00", [Commit(store.job, store.fence, "done", "", "", b"{}")]) == [End.OK]
        (parent,) = await self.take("fetch")
        child = Child(number=1, stage="chunk", spec=b"{}", input=b"{}")
        assert (await worker.spawn("00", Spawn(parent.job, parent.fence, (child,)))).status == "OK"
        split = Commit(parent.job, parent.fence, "split", "store", "cpu", b"{}")
        assert await worker.commit("00", [split]) == [End.OK]
        (chunk,) = await self.take("chunk")
        assert await worker.commit("00", [Commit(chunk.job, chunk.fence, "done", "", "", b"{}")]) == [End.OK]
        assert [row.state for row in await worker.children("00", parent.job, 1, 1)] == ["completed"]
        limits = Limits(self._options, {"site": 1}, KERNEL)
        async with limits.place("site", "holder"):
            pass
        await limits.stop()
        doorbell = Doorbell(self._options)
        await doorbell.ring({self.keys.inbox("notify", "cpu", "normal"): "0"})
        await doorbell.close()
        await self._announce()
        await self.client.aclose()
        return third.job

    async def _announce(self) -> None:
        system = [f"{SYSTEM}workers", f"{SYSTEM}seen"]
        for verb, arguments in (("announce", ["w", "{}", "60000"]), ("withdraw", ["w"])):
            await SystemScripts(self.client).call(verb, system, arguments)


async def submit(client: Any, count: int) -> None:
    submitter = Submitter(client, Partitions(1), KernelOptions(window=100))
    for number in range(count):
        submission = Submission(tenant="acme", stage="fetch", spec=SPEC, input=b"{}", idempotency_key=f"key-{number}")
        assert (await submitter.submit(submission)).outcome == "ok"


@pytest.fixture
async def gateway(server: RedisServer, secrets: Path, tmp_path: Path) -> AsyncIterator[GatewayService]:
    service = GatewayService(settings_of("gateway", server, secrets, tmp_path))
    await service.start()
    await service.ready()
    yield service
    await service.stop()


@pytest.mark.parametrize("kind", ["worker", "operator"])
async def test_a_worker_may_use_every_verb(tester: redis.Redis, options: dict[str, RedisOptions], kind: str) -> None:
    gateway = connect(options["gateway"])
    await submit(gateway, 7)
    await gateway.aclose()
    await Worked(options[kind]).every_verb()


async def test_a_gateway_may_do_all_it_does(
    tester: redis.Redis, options: dict[str, RedisOptions], gateway: GatewayService
) -> None:
    client = connect(options["gateway"])
    await submit(client, 7)
    await client.aclose()
    dead = await Worked(options["worker"]).every_verb()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(gateway.url, headers=headers) as api:

        async def ask(method: str, path: str, body: object = None, **more: str) -> Any:
            async with api.request(method, path, json=body, headers=more) as response:
                text = await response.text()
                assert response.status < 300, (method, path, text)
                return await response.json(content_type=None) if text.startswith("{") else text

        request = {"source": "https://media.example/clip.mp4", "format": "mp3"}
        job = (await ask("POST", "/v1/jobs", request, **{"Idempotency-Key": "k"}))["id"]
        assert (await ask("POST", "/v1/jobs", request, **{"Idempotency-Key": "k"}))["id"] == job
        assert len((await ask("GET", "/v1/jobs"))["jobs"]) == 1
        await ask("GET", f"/v1/jobs/{job}")
        await ask("GET", f"/v1/jobs/{job}/events")
        await ask("POST", f"/v1/jobs/{job}/cancel")
        await ask("GET", f"/v1/jobs/{job}/events", Accept="text/event-stream")
        await ask("GET", "/readyz")
        await ask("GET", "/v1/admin/dead")
        await ask("GET", "/v1/admin/dead/count")
        await ask("GET", "/v1/admin/dead/export")
        await ask("GET", f"/v1/admin/dead/{dead}")
        await ask("POST", f"/v1/admin/dead/{dead}/replay", {})
        tester.zadd("rw:{p00}:quarantine", {"j00-x": 1})
        tester.hset("rw:{p00}:quarantined:j00-x", "state", "odd")
        await ask("GET", "/v1/admin/quarantine")
        await ask("GET", "/v1/admin/workers")
        await ask("GET", "/v1/admin/stages")
        await ask("POST", "/v1/admin/stages/fetch/pause", {})
        await ask("POST", "/v1/admin/stages/fetch/resume", {})
        await ask("PUT", "/v1/admin/tenants/acme", {"limit": 3})
        await ask("PUT", "/v1/admin/tenants/acme", {"limit": None})
        keeper = Keeper(gateway.context.redis, Partitions(1), KERNEL)
        assert await keeper.purge("00", [job]) == [job]


async def test_a_reaper_may_do_all_it_does(
    tester: redis.Redis, options: dict[str, RedisOptions], server: RedisServer, secrets: Path, tmp_path: Path
) -> None:
    client = connect(options["gateway"])
    await submit(client, 7)
    submitter = Submitter(client, Partitions(1), KERNEL)
    brief = Submission(tenant="acme", stage="fetch", spec=SPEC, input=b"{}", deadline_s=0.01)
    short_lived = (await submitter.submit(brief)).job
    worked = Worked(options["worker"])
    (grant,) = await worked.take("fetch")
    await worked.client.aclose()
    reaper = Reaper(
        settings_of("reaper", server, secrets, tmp_path), storage_of(settings_of("reaper", server, secrets, tmp_path))
    )
    await reaper.start()
    await reaper.ready()

    async def state_of(job: str) -> bytes | str | None:
        return await client.hget(f"rw:{{p00}}:job:{job}", "state")

    async def reaped() -> bool:
        return await state_of(grant.job) == b"queued" and await state_of(short_lived) == b"expired"

    await eventually(reaped)
    await Keeper(client, Partitions(1), KERNEL).purge("00", [short_lived])

    async def forgotten() -> bool:
        return await state_of(short_lived) is None

    await eventually(forgotten)
    tester.delete("rw:{p00}:in:fetch:cpu:normal")

    async def repaired() -> bool:
        return bool(tester.exists("rw:{p00}:in:fetch:cpu:normal"))

    await eventually(repaired)
    await reaper.stop()
    await client.aclose()


async def test_an_operator_may_look(tester: redis.Redis, options: dict[str, RedisOptions]) -> None:
    told = options["operator"]
    with redis.Redis.from_url(told.url, username=told.username, password=told.password, driver_info=None) as client:
        assert client.acl_whoami() == "operator"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.slowlog_get()
        client.client_list()
        client.memory_usage("rw:{sys}:meta")
        client.scan(match="rw:*")
        client.lrange("rw:{p00}:log:x", 0, -1)
