"""What a role says about servers it cannot use, in each topology; and what it waits for instead."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import redis.asyncio
from structlog.testing import capture_logs

from actors.installation import check_installation
from actors.kernel import Partitions, RedisOptions, UnfitServer, admit, connect, means_wait
from actors.kernel.connection import is_refused
from actors.settings import load
from actors.settings_values import SettingsError
from gateway.command.checkup import check_redis
from tests.kernel.stages import eventually
from tests.kernel.topologies.servers import Cluster, Server, Watched, running, until

WITHIN_S = 5.0


@asynccontextmanager
async def connected(url: str, **options: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = connect(msgspec.structs.replace(RedisOptions(url=url), **options))
    yield client
    await client.aclose()


async def refused(url: str, words: str, **options: str) -> None:
    """The role ends, with these words, and soon."""
    async with connected(url, **options) as client:
        with pytest.raises(UnfitServer, match=words):
            await asyncio.wait_for(admit(client, Partitions(4)), WITHIN_S)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(Server()) as started:
        yield started


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with running(Watched(1)) as started:
        yield started


@pytest.fixture
def guarded(server: Server) -> Iterator[Server]:
    """Wants a user and a password."""
    server.call("ACL", "SETUSER", "reelway", "on", ">right", "~*", "+@all")
    server.call("ACL", "SETUSER", "default", "off")
    yield server
    with server.client(username="reelway", password="right") as client:
        client.execute_command("ACL", "SETUSER", "default", "on")


async def test_every_primary_of_a_cluster_is_asked(cluster: Cluster) -> None:
    cluster.flush()
    odd = cluster.primaries[1]
    async with connected(cluster.url) as client:
        assert len(await admit(client, Partitions(4))) == 3
        odd.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnfitServer, match=f"Redis at {odd.address} evicts keys.*allkeys-lru"):
                await admit(client, Partitions(4))
        finally:
            odd.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        with pytest.raises(UnfitServer, match="partitions 4, this role is configured with 8"):
            await admit(client, Partitions(8))


async def test_the_address_of_another_topology_is_refused(cluster: Cluster, server: Server, watched: Watched) -> None:
    node, sentinel = cluster.primaries[0].address, watched.sentinels[0].address
    await refused(f"redis://{node}", r"node of a Redis Cluster\. Use redis\+cluster://")
    await refused(f"redis://{sentinel}", r"is a Sentinel\. Use redis\+sentinel://")
    await refused(f"redis+cluster://{server.address}", "is no node of a Redis Cluster: use redis://")
    await refused(f"redis+sentinel://{server.address}/main", "are no Sentinels")


async def test_a_primary_that_no_sentinel_knows_is_refused(watched: Watched) -> None:
    await refused(watched.url.replace("/main", "/other"), "know no primary by the name 'other'")


async def test_an_address_that_cannot_be_is_a_bad_setting() -> None:
    settings = load({"XDG_DATA_HOME": "/nowhere", "REELWAY_REDIS_URL": "redis+cluster://h:1/2"})
    with pytest.raises(SettingsError, match=r"redis\.url: Redis Cluster has only database 0"):
        await check_installation(settings)


async def test_a_wrong_password_is_no_reason_to_wait(guarded: Server) -> None:
    url = f"redis://{guarded.address}"
    await refused(url, "refuses to work with us", username="reelway", password="wrong")
    await refused(url, "refuses to work with us")
    async with connected(url, username="reelway", password="right") as client:
        await admit(client, Partitions(4))


async def test_a_wrong_password_of_a_cluster_is_no_reason_to_wait(cluster: Cluster) -> None:
    await refused(cluster.url, "refuses to work with us", username="nobody", password="wrong")


async def test_a_wrong_password_of_the_sentinels_is_no_reason_to_wait(watched: Watched) -> None:
    await refused(watched.url, "refuses to work with us", sentinel_username="nobody", sentinel_password="wrong")


async def test_a_user_without_the_rights_is_told(guarded: Server) -> None:
    with guarded.client(username="reelway", password="right") as client:
        client.execute_command("ACL", "SETUSER", "narrow", "on", ">right", "~other:*", "+@all")
    settings = load(
        {"XDG_DATA_HOME": "/nowhere"},
        overrides={
            "redis.url": f"redis://{guarded.address}", "redis.username": "narrow", "redis.password": "right",
        },
    )  # fmt: skip
    with pytest.raises(SettingsError, match="refuses to work with us"):
        await check_installation(settings)


async def test_a_running_role_waits_for_a_password_that_somebody_changed(guarded: Server) -> None:
    async with connected(f"redis://{guarded.address}", username="reelway", password="wrong") as client:
        with pytest.raises(redis.RedisError) as error:
            await client.ping()
    assert is_refused(error.value)
    assert means_wait(error.value)


@asynccontextmanager
async def waiting(url: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """A role that starts; yields whether it has said that it waits. At the end it must be admitted."""
    async with connected(url) as client:
        with capture_logs() as logs:
            admission = asyncio.ensure_future(admit(client, Partitions(4)))

            async def said() -> bool:
                assert not admission.done()
                return any(entry["event"] == "redis.awaited" for entry in logs)

            yield said
            await asyncio.wait_for(admission, 10.0)


async def test_a_slot_that_nobody_serves_is_waited_for(cluster: Cluster) -> None:
    cluster.flush()
    node = cluster.serving("rw:{sys}:meta")
    slot = node.call("CLUSTER", "KEYSLOT", "rw:{sys}:meta")
    node.call("CLUSTER", "DELSLOTS", slot)
    async with waiting(cluster.url) as said:
        await eventually(said)
        node.call("CLUSTER", "ADDSLOTS", slot)
    until(lambda: all(b"cluster_state:ok" in one.call("CLUSTER", "INFO") for one in cluster.primaries))


async def test_a_primary_that_is_away_is_waited_for() -> None:
    with running(Watched(0)) as watched:
        watched.primary.kill()
        async with waiting(watched.url) as said:
            await eventually(said)
            watched.primary.start()


async def test_the_doctor_asks_every_primary(cluster: Cluster) -> None:
    settings = load({"XDG_DATA_HOME": "/nowhere", "REELWAY_REDIS_URL": cluster.url})
    finding = await check_redis(settings)
    assert (finding.state, finding.detail.startswith("3 primaries, version ")) == ("ok", True)
    odd = cluster.primaries[2]
    odd.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        finding = await check_redis(settings)
    finally:
        odd.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert finding.state == "failed"
    assert odd.address in finding.detail
