"""What is checked before a role starts, and what the native program is told."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from actors.installation import check_installation
from actors.run import build_services
from actors.settings import Settings, load
from actors.settings_values import SettingsError
from actors.transcode import native_settings
from tests.conftest import RedisServer


def settings_for(url: str, **more: str) -> Settings:
    return load({"XDG_DATA_HOME": "/nowhere", "REELWAY_REDIS_URL": url, **more})


async def test_a_redis_that_drops_keys_is_refused(own_redis_server: RedisServer) -> None:
    client = redis.asyncio.Redis.from_url(own_redis_server.url)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    await client.aclose()
    with pytest.raises(SettingsError, match="maxmemory-policy allkeys-lru"):
        await check_installation(settings_for(own_redis_server.url))


async def test_another_number_of_partitions_is_refused(redis_url: str) -> None:
    await check_installation(settings_for(redis_url, REELWAY_PARTITIONS="4"))
    await check_installation(settings_for(redis_url, REELWAY_PARTITIONS="4"))
    with pytest.raises(SettingsError, match="4, this role is configured with 8"):
        await check_installation(settings_for(redis_url, REELWAY_PARTITIONS="8"))


async def test_roles_wait_for_redis(own_redis_server: RedisServer) -> None:
    own_redis_server.kill()
    checking: Awaitable[None] = asyncio.ensure_future(check_installation(settings_for(own_redis_server.url)))
    done, _ = await asyncio.wait({checking}, timeout=0.3)  # type: ignore[type-var]
    assert not done
    own_redis_server.start()
    await asyncio.wait_for(checking, 5.0)


async def test_roles_of_an_installation_start_on_a_full_redis(own_redis_server: RedisServer) -> None:
    """The workers that would make room must not be kept out; a new installation waits for room."""
    settings = settings_for(own_redis_server.url)
    client = redis.asyncio.Redis.from_url(own_redis_server.url)
    await client.config_set("maxmemory", 1)
    checking: Awaitable[None] = asyncio.ensure_future(check_installation(settings))
    done, _ = await asyncio.wait({checking}, timeout=0.3)  # type: ignore[type-var]
    assert not done
    await client.config_set("maxmemory", 0)
    await asyncio.wait_for(checking, 5.0)
    await client.config_set("maxmemory", 1)
    await asyncio.wait_for(check_installation(settings), 5.0)
    with pytest.raises(SettingsError, match="this role is configured with 8"):
        await check_installation(settings_for(own_redis_server.url, REELWAY_PARTITIONS="8"))
    await client.aclose()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REELWAY_STORAGE_URL": "ftp://x/y"}, "storage.url"),
        ({"REELWAY_EGRESS_ALLOW": "10.0.0.0/99"}, "egress.allow"),
    ],
)
def test_unusable_settings_are_said_before_anything_starts(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        build_services(["ingest", "fetch"], settings_for("unix:///x", **environ))
    with pytest.raises(SettingsError, match="not a role"):
        build_services(["transcode"], settings_for("unix:///x"))


def test_the_native_program_gets_what_it_needs(tmp_path: Path) -> None:
    settings = settings_for("unix:///x", REELWAY_STORAGE_URL=tmp_path.as_uri(), REELWAY_REDIS_PASSWORD="pw")
    given = json.loads(msgspec.json.encode(native_settings(settings)))
    assert given["storage"] == {"root": str(tmp_path), "min_free_bytes": 2 * 1024**3}
    assert given["redis"]["password"] == "pw"
    assert given["kernel"]["lease_s"] == 10.0
    assert given["budget"] == 2
    assert Path(given["ffmpeg"]).is_file()
