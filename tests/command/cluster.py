"""A cluster of real processes, an operator who has its key, and dead letters made by a worker of the test's own."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.kernel import Partitions, RedisOptions, connect, new_nonce, read_log
from tests.command.reelway import LOOPBACK, Ended, Reelway, finish
from tests.conftest import RedisServer
from tests.gateway.scripted_worker import ScriptedWorker

KEY = "rw_test_key_of_the_cluster"
PARTITIONS = Partitions(4)


class Cluster:
    """A Redis, and a gateway with a reaper in a process of its own. `user` is somebody elsewhere who has the key."""

    def __init__(self, folder: Path, server: RedisServer, port: int) -> None:
        self.server = server
        self.port = port
        self.host = Reelway(
            folder,
            {
                "REELWAY_REDIS_URL": server.url,
                "REELWAY_PARTITIONS": str(PARTITIONS.count),
                "REELWAY_STORAGE_URL": (folder / "storage").as_uri(),
                "REELWAY_GATEWAY_PORT": str(port),
                "REELWAY_GATEWAY_KEY": KEY,
                "REELWAY_KERNEL_LEASE_S": "1.2",
                "REELWAY_KERNEL_BEAT_S": "0.3",
                **LOOPBACK,
            },
        )
        self.user = Reelway(folder, {"REELWAY_URL": f"http://127.0.0.1:{port}", "REELWAY_KEY": KEY})

    def start(self, *roles: str, **environment: str) -> subprocess.Popen[str]:
        """Roles in a process of their own, once they work."""
        process = self.host.start("run", *roles, "--json", **environment)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, finish(process, 10)
        return process

    @contextmanager
    def running(self, *roles: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        process = self.start(*roles, **environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            finish(process, 30)

    def run(self, *words: str, code: int = 0) -> Ended:
        ended = self.user.run(*words)
        assert ended.code == code, ended.stderr
        return ended

    def json(self, *words: str, code: int = 0) -> Any:
        return self.run(*words, "--json", code=code).json()

    def dead(self, *tenants: str) -> list[str]:
        """A dead letter for each of these tenants, made by a worker of the test's own."""

        async def make() -> list[str]:
            client = connect(RedisOptions(url=self.server.url))
            worker = ScriptedWorker(client, PARTITIONS)
            jobs = []
            for tenant in tenants:
                job = await worker.submit(tenant)
                await worker.fail(await worker.take("ingest", job))
                jobs.append(job)
            await client.aclose()
            return jobs

        return asyncio.run(make())

    def die_again(self, count: int) -> None:
        """So many replayed jobs fail once more, later than they did before."""

        async def fail() -> None:
            client = connect(RedisOptions(url=self.server.url))
            worker = ScriptedWorker(client, PARTITIONS)
            inbox = PARTITIONS.keys(PARTITIONS.of_tenant("ann")).inbox("ingest", "cpu", "normal")
            partition = PARTITIONS.of_tenant("ann")
            for grant in (await worker.worker.take(partition, [inbox], count, new_nonce())).grants:
                await worker.fail(grant)
            await client.aclose()

        asyncio.run(fail())

    def replays(self, jobs: list[str]) -> Counter[int]:
        """How many jobs were replayed how often."""

        async def look() -> Counter[int]:
            client = connect(RedisOptions(url=self.server.url))
            logs = [await read_log(client, PARTITIONS, job) for job in jobs]
            await client.aclose()
            return Counter(sum(entry.type == "job.replayed" for entry in log) for log in logs)

        return asyncio.run(look())


@pytest.fixture
def cluster(tmp_path: Path, own_redis_server: RedisServer, free_port: int) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, own_redis_server, free_port)
    with cluster.running("gateway", "reaper"):
        yield cluster
    cluster.host.end()
