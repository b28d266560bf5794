"""The Redis of the Compose installation: with its configuration and users the roles can do all they do, and no more."""

import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from actors.kernel import (
    Beat,
    Commit,
    End,
    Endpoint,
    Fail,
    Keeper,
    KernelOptions,
    Partitions,
    Pulse,
    RedisOptions,
    Release,
    Submission,
    Submitter,
    Worker,
    connect,
    list_jobs,
    new_nonce,
    read_log,
)
from tests.conftest import RedisServer

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
BODY = b'{"code":"X","message":"x"}'


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a fresh installation."""
    home = tmp_path_factory.mktemp("compose")
    shutil.copy(COMPOSE / "make_secrets.sh", home)
    subprocess.run(["bash", str(home / "make_secrets.sh")], check=True, capture_output=True)
    return home / "secrets"


def configuration(secrets: Path) -> list[str]:
    """compose/redis.conf as arguments, with what names paths and addresses of the container left to the test."""
    arguments = []
    for line in (COMPOSE / "redis.conf").read_text("utf-8").splitlines():
        name, _, value = line.partition(" ")
        if line and not line.startswith("#") and name not in {"bind", "dir", "aclfile"}:
            arguments += [f"--{name}", *(part.strip('"') for part in value.split(" "))]
    return [*arguments, "--aclfile", str(secrets / "redis_users")]


@pytest.fixture(scope="module")
def server(secrets: Path) -> Iterator[RedisServer]:
    server = RedisServer(*configuration(secrets))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def options(server: RedisServer, secrets: Path) -> RedisOptions:
    password = (secrets / "redis_password").read_text("utf-8").strip()
    return RedisOptions(url=server.url, username="reelway", password=password)


def test_the_files_hold_what_they_should(secrets: Path) -> None:
    password = (secrets / "redis_password").read_text("utf-8").strip()
    assert password not in (secrets / "redis_users").read_text("utf-8")
    assert (secrets / "gateway_key").read_text("utf-8").startswith("rw_")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def test_a_second_call_keeps_the_secrets(secrets: Path) -> None:
    before = {path.name: path.read_text("utf-8") for path in secrets.iterdir()}
    subprocess.run(["bash", str(secrets.parent / "make_secrets.sh")], check=True, capture_output=True)
    assert before == {path.name: path.read_text("utf-8") for path in secrets.iterdir()}


def test_the_default_user_may_only_ping(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.get("rw:{p00}:epoch")


def test_a_wrong_password_is_refused(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url, username="reelway", password="wrong")
    with client, pytest.raises(AuthenticationError):
        client.ping()


@pytest.mark.parametrize(
    "command", [("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("SHUTDOWN",), ("GET", "other"), ("ACL", "LIST")]
)
def test_a_role_may_not(command: tuple[str, ...], options: RedisOptions) -> None:
    client = redis.Redis.from_url(options.url, username=options.username, password=options.password)
    with client, pytest.raises(NoPermissionError):
        client.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_a_role_may_use_every_verb(options: RedisOptions) -> None:
    client, kernel, partitions = connect(options), KernelOptions(lease_s=0.05, beat_s=0.02), Partitions(1)
    submitter, keeper = Submitter(client, partitions, kernel), Keeper(client, partitions, kernel)
    worker = Worker(client, partitions, kernel, "worker")
    keys = partitions.keys("00")
    inboxes = [keys.inbox("fetch", "cpu", "again"), keys.inbox("fetch", "cpu", "normal")]
    await keeper.set_endpoint("acme", "log", Endpoint({"job.completed": True, "job.cancelled": True}, "log", 60_000))
    for number in range(5):
        sent = await submitter.submit(
            Submission(tenant="acme", stage="fetch", spec=b"{}", input=b"{}", idempotency_key=f"key-{number}")
        )
        assert sent.outcome == "ok"
    first, second, third, fourth, fifth = (await worker.take("00", inboxes, 5, new_nonce())).grants
    assert await worker.beat("00", [Beat(first.job, first.fence, 10.0)]) == [Pulse.OK]
    assert await worker.commit("00", [Commit(first.job, first.fence, "done", "", "", b"{}")]) == [End.OK]
    assert await worker.fail("00", [Fail(second.job, second.fence, "transient", 0, 2, BODY, BODY)]) == [End.OK]
    assert await worker.fail("00", [Fail(third.job, third.fence, "permanent", 0, 2, BODY, BODY)]) == [End.OK]
    assert await worker.release("00", [Release(fourth.job, fourth.fence, BODY)]) == [End.OK]
    assert await keeper.promote("00") == [second.job]
    assert (await submitter.cancel(fourth.job, "test")).outcome == "cancelled"
    assert (await submitter.cancel(fifth.job, "test")).outcome == "flagged"
    await keeper.reap("00", await keeper.server_time_ms())
    await keeper.expire("00")
    await keeper.reconcile("00", "0")
    await keeper.retention("00", [first.job])
    await keeper.give_back("00")
    jobs, _ = await list_jobs(client, partitions, "acme")
    assert len(jobs) == 5
    assert len(await read_log(client, partitions, first.job)) == 3
    assert await client.xread({keys.inbox("notify", "cpu", "normal"): "0"}, block=1000)
    assert await client.info("memory")
    await client.aclose()
