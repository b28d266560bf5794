"""The Redis of the Compose installation, with its configuration and its users, for the tests of both."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from actors.kernel import KernelOptions, RedisOptions
from actors.settings import Settings, load
from tests.conftest import RedisServer

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
KINDS = ("worker", "gateway", "reaper", "operator")
KEY = "rw_a-key-for-tests"
KERNEL = KernelOptions(lease_s=0.5, beat_s=0.1)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a fresh installation."""
    home = tmp_path_factory.mktemp("compose")
    for name in ("make_secrets.sh", "redis_rights"):
        shutil.copy(COMPOSE / name, home)
    subprocess.run(["bash", str(home / "make_secrets.sh")], check=True, capture_output=True)
    return home / "secrets"


def configuration(users: Path) -> list[str]:
    """compose/redis.conf as arguments, with what names paths and addresses of the container left to the test."""
    arguments = []
    for line in (COMPOSE / "redis.conf").read_text("utf-8").splitlines():
        name, _, value = line.partition(" ")
        if line and not line.startswith("#") and name not in {"bind", "dir", "aclfile"}:
            arguments += [f"--{name}", *(part.strip('"') for part in value.split(" "))]
    return [*arguments, "--aclfile", str(users)]


@pytest.fixture(scope="module")
def server(secrets: Path) -> Iterator[RedisServer]:
    """Besides the installation's users it has one for the tests, who sees what was refused."""
    users = secrets.parent / "users"
    users.write_text((secrets / "redis_users").read_text("utf-8") + "user tester on nopass ~* &* +@all\n", "utf-8")
    server = RedisServer(*configuration(users))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def tester(server: RedisServer) -> Iterator[redis.Redis]:
    """At the end of the test nobody must have been refused anything."""
    with redis.Redis.from_url(server.url, username="tester", password="any") as client:
        client.flushall()
        client.acl_log_reset()
        yield client
        assert client.acl_log() == []


def password(secrets: Path, kind: str) -> str:
    return (secrets / f"redis_{kind}").read_text("utf-8").strip()


@pytest.fixture
def options(server: RedisServer, secrets: Path) -> dict[str, RedisOptions]:
    """How each kind connects."""
    return {kind: RedisOptions(url=server.url, username=kind, password=password(secrets, kind)) for kind in KINDS}


def settings_of(kind: str, server: RedisServer, secrets: Path, data_dir: Path) -> Settings:
    values = {
        "data_dir": str(data_dir), "redis.url": server.url, "redis.username": kind,
        "redis.password": password(secrets, kind), "redis.partitions": 1, "kernel.lease_s": KERNEL.lease_s,
        "kernel.beat_s": KERNEL.beat_s, "reaper.interval_s": 0.05, "reaper.reconcile_s": 0.05, "gateway.key": KEY,
        "gateway.port": 0, "storage.min_free_bytes": 0,
    }  # fmt: skip
    return load({}, overrides=values)
