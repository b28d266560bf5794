"""The users of the Compose installation's Redis: whom they are for, and what they may not do."""

import stat
import subprocess
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from actors.kernel import RedisOptions
from actors.kernel.scripts import LUA
from tests.conftest import RedisServer
from tests.deploy import redis_rights
from tests.deploy.redis_installation import KINDS, options, password, secrets, server

__all__ = ["options", "secrets", "server"]


def test_the_rights_are_those_of_the_code() -> None:
    assert redis_rights.RIGHTS.read_text("utf-8") == redis_rights.page(), "run python -m tests.deploy.redis_rights"


def test_every_script_is_called_by_somebody() -> None:
    known = {path.stem for folder in ("", "sys") for path in (LUA / folder).glob("*.lua")}
    assert {verb for verbs in redis_rights.VERBS.values() for verb in verbs} == known


def test_the_files_hold_what_they_should(secrets: Path) -> None:
    users = (secrets / "redis_users").read_text("utf-8")
    words = {kind: password(secrets, kind) for kind in KINDS}
    assert len(set(words.values())) == len(KINDS)
    assert not any(word in users for word in words.values())
    assert (secrets / "gateway_key").read_text("utf-8").startswith("rw_")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE((secrets / "redis_operator").stat().st_mode) == 0o400


def test_a_second_call_keeps_the_secrets(secrets: Path) -> None:
    before = {path.name: path.read_text("utf-8") for path in secrets.iterdir()}
    subprocess.run(["bash", str(secrets.parent / "make_secrets.sh")], check=True, capture_output=True)
    assert before == {path.name: path.read_text("utf-8") for path in secrets.iterdir()}


def test_the_default_user_may_only_ping(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.get("rw:{p00}:epoch")


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_refused(server: RedisServer, kind: str) -> None:
    client = redis.Redis.from_url(server.url, username=kind, password="wrong")
    with client, pytest.raises(AuthenticationError):
        client.ping()


ANYBODY = [
    ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("CONFIG", "SET", "maxmemory", "0"), ("SHUTDOWN",), ("GET", "other"),
    ("HGETALL", "other"), ("EVAL", "return redis.call('GET', 'other')", 0), ("ACL", "LIST"), ("BGSAVE",),
    ("SCRIPT", "FLUSH"), ("SUBSCRIBE", "x"), ("REPLICAOF", "NO", "ONE"), ("CLUSTER", "RESET"), ("MONITOR",),
]  # fmt: skip
SOME = [
    ("worker", ("LRANGE", "rw:{p00}:log:x", "0", "-1")),
    ("worker", ("ZREVRANGEBYSCORE", "rw:{p00}:jobs:t", "+inf", "-inf")),
    ("worker", ("UNLINK", "rw:{p00}:job:x")),
    ("worker", ("XINFO", "CONSUMERS", "rw:{p00}:in:a:cpu:normal", "rw")),
    ("gateway", ("XREADGROUP", "GROUP", "rw", "w", "STREAMS", "rw:{p00}:in:a:cpu:normal", ">")),
    ("gateway", ("XGROUP", "DELCONSUMER", "rw:{p00}:in:a:cpu:normal", "rw", "w")),
    ("reaper", ("XREADGROUP", "GROUP", "rw", "w", "STREAMS", "rw:{p00}:in:a:cpu:normal", ">")),
    ("reaper", ("LRANGE", "rw:{p00}:log:x", "0", "-1")),
    ("gateway", ("CONFIG", "GET", "maxmemory")),
    ("reaper", ("CLIENT", "LIST")),
]


@pytest.mark.parametrize(
    ("kind", "command"), [*((kind, command) for kind in KINDS for command in ANYBODY), *SOME], ids=str
)
def test_a_kind_may_not(kind: str, command: tuple[str | int, ...], options: dict[str, RedisOptions]) -> None:
    told = options[kind]
    client = redis.Redis.from_url(told.url, username=told.username, password=told.password)
    with client, pytest.raises(redis.ResponseError, match=r"(?i)permission|can't (run|access)"):
        client.execute_command(*command)  # type: ignore[no-untyped-call]
