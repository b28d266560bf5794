"""The client of a cluster: where a call goes, what is sent again and what is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
import redis.asyncio
from redis.exceptions import ClusterDownError, NoScriptError

from actors.kernel import Partitions, RedisOptions, connect, is_sharded, means_wait, primary_of
from actors.kernel.doorbell import Doorbell
from actors.kernel.routed import RoutedClient, slot_of, slot_of_key
from tests.kernel.stages import eventually
from tests.kernel.topologies.servers import Cluster, until
from tests.kernel.topologies.slots import Move

KEY = "rw:{p00}:job:x"


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[RoutedClient]:
    cluster.flush()
    client = connect(RedisOptions(url=f"redis+cluster://{cluster.primaries[0].address}"))
    assert isinstance(client, RoutedClient)
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    "command",
    [
        ("GET", KEY),
        ("EVALSHA", "0" * 40, 2, KEY, "rw:{p00}:due", "argument"),
        ("EVAL", "return 1", 1, KEY),
        ("XREAD", "COUNT", 1, "BLOCK", 5, b"STREAMS", KEY, "0-0"),
        ("XREADGROUP", "GROUP", "rw", "w", "STREAMS", KEY, ">"),
        ("XINFO STREAM", KEY),
        ("XINFO", "STREAM", KEY),
        ("XGROUP CREATE", KEY, "rw", "0"),
        ("MEMORY", "USAGE", KEY),
        ("ZADD", KEY, 1, "member"),
    ],
)
def test_a_call_goes_to_its_first_key(command: tuple[object, ...]) -> None:
    assert slot_of(command) == slot_of_key(KEY)


def test_a_call_without_a_key_goes_to_what_concerns_the_whole_installation() -> None:
    assert slot_of(("TIME",)) == slot_of(("EVAL", "return 1", 0)) == slot_of_key("rw:{sys}:meta")


async def test_partitions_lie_on_several_nodes_and_are_all_reached(client: RoutedClient) -> None:
    partitions = Partitions(4)
    keys = [f"{partitions.keys(partition).root}job:x" for partition in partitions]
    for number, key in enumerate(keys):
        await client.hset(key, "number", number)
    assert [await client.hget(key, "number") for key in keys] == [b"0", b"1", b"2", b"3"]
    async with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
            pipeline.exists(key)
        replies = await pipeline.execute()
    assert replies == [part for number in range(4) for part in ({b"number": str(number).encode()}, 1)]
    assert len({(await primary_of(client, key)).primary for key in keys}) == 3
    assert is_sharded(client)


async def test_a_script_is_known_where_it_was_loaded(client: RoutedClient, cluster: Cluster) -> None:
    for node in cluster.primaries:
        node.call("SCRIPT", "FLUSH")
    text = "return {KEYS[1], ARGV[1]}"
    assert await client.eval(text, 1, KEY, "a") == [KEY.encode(), b"a"]
    digest = "9c0bd0ee4bcb8f0c4a8bdf2f9f5f3b5bd4fcbd4e"
    with pytest.raises(NoScriptError):
        await client.evalsha(digest, 1, KEY, "a")


async def test_keys_of_two_slots_in_one_call_are_an_error(client: RoutedClient) -> None:
    with pytest.raises(redis.ResponseError, match="same slot"):
        await client.delete(KEY, "rw:{p02}:job:x")


async def test_a_pipeline_that_should_be_a_transaction_is_refused(client: RoutedClient) -> None:
    with pytest.raises(ValueError, match="no transaction"):
        client.pipeline()


async def test_errors_in_a_pipeline_are_raised_or_returned_in_their_place(client: RoutedClient) -> None:
    await client.set(KEY, "text")
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.get(KEY)
        pipeline.hgetall(KEY)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            await pipeline.execute()
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.hgetall(KEY)
        pipeline.get(KEY)
        broken, found = await pipeline.execute(raise_on_error=False)
    assert isinstance(broken, redis.ResponseError)
    assert found == b"text"


@pytest.fixture
def moving(cluster: Cluster) -> Iterator[Move]:
    cluster.flush()
    move = Move(cluster, KEY)
    yield move
    move.undo()


async def test_a_key_under_way_is_asked_for_where_it_went(client: RoutedClient, moving: Move) -> None:
    """Many at once: ASKING and the call it is meant for share a connection."""
    keys = [f"rw:{{p00}}:key:{number}" for number in range(40)]
    for key in keys:
        await client.set(key, key)
    moving.begin()
    moving.carry(*keys[:20])
    try:
        found = await asyncio.gather(*(client.get(key) for key in keys for _ in range(5)))
        assert found == [key.encode() for key in keys for _ in range(5)]
        async with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            assert await pipeline.execute() == [key.encode() for key in keys]
    finally:
        moving.end()


async def test_a_slot_that_has_moved_is_followed_once(client: RoutedClient, moving: Move) -> None:
    await client.set(KEY, "x")
    before = await primary_of(client, KEY)
    moving.begin()
    moving.carry(KEY)
    moving.end()
    assert await client.get(KEY) == b"x"
    assert await client.node_of(moving.slot) == ("127.0.0.1", moving.target.port)
    after = await primary_of(client, KEY)
    assert after.primary != before.primary


async def test_who_served_a_key_is_not_asked_who_serves_it(client: RoutedClient, moving: Move) -> None:
    await primary_of(client, KEY)
    moving.begin()
    moving.end()
    with pytest.raises(redis.ConnectionError) as moved:
        await primary_of(client, KEY)
    assert means_wait(moved.value)


async def test_a_waiting_doorbell_follows_a_slot(cluster: Cluster, moving: Move) -> None:
    inbox = "rw:{p00}:in:a:cpu:normal"
    doorbell = Doorbell(RedisOptions(url=cluster.url))
    ringing = asyncio.create_task(doorbell.ring({inbox: "0-0", "rw:{p02}:in:a:cpu:normal": "0-0"}))

    async def listening() -> bool:
        return bool(moving.source.call("INFO", "clients")["blocked_clients"] == 1)

    await eventually(listening)
    moving.begin()
    moving.end()
    moving.target.call("XADD", inbox, "*", "job", "j00-x")
    assert await asyncio.wait_for(ringing, 2.0) == {inbox}
    await doorbell.close()


async def test_a_slot_that_nobody_serves_means_wait(cluster: Cluster, client: RoutedClient) -> None:
    await client.get(KEY)
    node = cluster.serving(KEY)
    slot = slot_of_key(KEY)
    node.call("CLUSTER", "DELSLOTS", slot)
    try:
        with pytest.raises(ClusterDownError) as down:
            await client.get(KEY)
        assert means_wait(down.value)
    finally:
        node.call("CLUSTER", "ADDSLOTS", slot)
        until(lambda: b"cluster_state:ok" in node.call("CLUSTER", "INFO"))
    until(lambda: all(b"cluster_state:ok" in one.call("CLUSTER", "INFO") for one in cluster.primaries))
    assert await client.get(KEY) is None
