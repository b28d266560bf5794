"""Actors whose storage lies on a disk that the test fills, and what a job shows that waits for room."""

import json
from collections.abc import Callable
from pathlib import Path

import redis.asyncio

from actors.kernel import JobView, Keeper, KernelOptions, Partitions, Service, Submission, Submitter
from actors.media.spans import URL_SPANS
from actors.media.task import FetchInput, JobSpec, encode
from actors.run import build_services
from actors.settings import Settings, load
from tests.actors.roles import Cluster

KIB, MIB = 1 << 10, 1 << 20


class Stages:
    """Actors in this process with their storage on the small disk, and the client's side of one installation."""

    def __init__(self, client: redis.asyncio.Redis, redis_url: str, data_dir: Path) -> None:
        self.cluster = Cluster(client)
        self.data_dir = data_dir
        self._redis_url = redis_url
        self._services: list[Service] = []
        self._partitions = Partitions(1)
        self._submitter = Submitter(client, self._partitions, KernelOptions())
        self._keeper = Keeper(client, self._partitions, KernelOptions())

    @property
    def storage(self) -> Path:
        return self.data_dir / "storage"

    def settings(self, **overrides: object) -> Settings:
        values = {
            "data_dir": str(self.data_dir),
            "redis.url": self._redis_url,
            "redis.partitions": 1,
            "egress.allow": ["127.0.0.0/8"],
            "storage.min_free_bytes": 0,
        }
        return load({}, overrides=values | {name.replace("__", "."): value for name, value in overrides.items()})

    async def start(self, role: str, **overrides: object) -> None:
        for service in build_services([role], self.settings(**overrides)):
            await service.start()
            self._services.append(service)
            await service.ready()

    async def stop(self) -> None:
        for service in reversed(self._services):
            await service.stop()

    async def submit(self, stage: str, body: bytes, source: str = "", tenant: str = "default") -> str:
        spec = encode(JobSpec(source=source, format="mp3"))
        submission = Submission(tenant=tenant, stage=stage, spec=spec, input=body)
        return (await self._submitter.submit(submission)).job

    async def fetch(self, source: str) -> str:
        return await self.submit("fetch", encode(FetchInput(source=source, spans=URL_SPANS)), source)

    async def waits_for_room(self, job: str) -> None:
        """It is delayed for the disk, it says so, and nothing was charged."""
        view = await self.cluster.until(job, lambda view: view.state == "delayed")
        reason = json.loads(view.reason or b"{}")
        assert (reason["code"], bool(reason["message"]), bool(reason["until"])) == ("DISK_FULL", True, True)
        assert (view.attempt, view.crashes, view.state) == (0, 0, "delayed")

    async def go_on(self, job: str, there: Callable[[JobView], bool]) -> JobView:
        """Ends the pause, as the reaper does when it is over, and gives the job when it is there."""
        keys = self._partitions.keys("00")
        assert await self.cluster.client.zscore(keys.due, job) is not None
        await self.cluster.client.zadd(keys.due, {job: 0})
        assert await self._keeper.promote("00") == [job]
        view = await self.cluster.until(job, there)
        assert (view.attempt, view.crashes) == (0, 0)
        return view

    def left(self, area: str, job: str) -> list[str]:
        """Everything that lies in the job's folder of an area."""
        folder = self.storage / area / job
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
