"""Replies that mean "wait", from servers that give them: alone, and passed on by a script that met them on its way."""

import threading
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from actors.kernel import KernelOptions, Partitions, RedisOptions, StoreUnavailable, Submission, Submitter, connect
from actors.kernel.connection import is_full, means_wait
from tests.kernel.topologies.servers import Server, running, until

SUBMISSION = Submission(tenant="t", stage="a", spec=b"{}", input=b"{}")


@pytest.fixture
def replica() -> Iterator[Server]:
    with running(Server()) as primary, running(Server("--replicaof", "127.0.0.1", str(primary.port))) as replica:
        until(lambda: replica.call("ROLE")[3] == b"connected")
        yield replica


async def refusal(server: Server, patience_s: float = 0.2) -> StoreUnavailable:
    """How a submission ends that the server makes wait for longer than its patience."""
    client = connect(RedisOptions(url=f"redis://{server.address}"))
    submitter = Submitter(client, Partitions(1), KernelOptions(), patience_s=patience_s)
    with pytest.raises(StoreUnavailable) as unavailable:
        await submitter.submit(SUBMISSION)
    assert unavailable.value.__cause__ is not None
    assert means_wait(unavailable.value.__cause__)
    assert not is_full(unavailable.value.__cause__)
    await client.aclose()
    return unavailable.value


async def test_a_replica_takes_no_writes(replica: Server) -> None:
    assert "read only replica" in str(await refusal(replica))


async def test_a_replica_that_lost_its_primary_answers_nothing(replica: Server) -> None:
    replica.call("CONFIG", "SET", "replica-serve-stale-data", "no")
    replica.call("REPLICAOF", "127.0.0.1", 1)
    until(lambda: replica.call("ROLE")[3] == b"connect")
    assert "is down" in str(await refusal(replica))


async def test_a_primary_without_the_replicas_it_wants_takes_no_writes() -> None:
    with running(Server("--min-replicas-to-write", "1")) as server:
        assert "NOREPLICAS" in str(await refusal(server))


async def test_a_long_script_is_waited_for() -> None:
    with running(Server("--lua-time-limit", "20")) as server:

        def occupy() -> None:
            with pytest.raises(redis.RedisError), server.client() as client:
                client.eval("while true do end", 0)

        occupying = threading.Thread(target=occupy)
        occupying.start()

        def busy() -> bool:
            try:
                server.call("GET", "x")
            except redis.ResponseError as error:
                return "BUSY" in str(error)
            return False

        until(busy)
        assert "BUSY" in str(await refusal(server))
        server.call("SCRIPT", "KILL")
        occupying.join()


def test_other_errors_do_not_mean_wait() -> None:
    for words in ("BUSYGROUP Consumer Group name already exists", "WRONGTYPE x", "ERR the word READONLY alone"):
        assert not means_wait(redis.ResponseError(words))
    assert not means_wait(redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"))
