"""Cases of client and connection: replies, retries, cancellations and servers that go and come."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from redis.exceptions import RedisError

from actors.kernel import (
    Actor,
    ActorOptions,
    Done,
    KernelOptions,
    RedisOptions,
    Result,
    State,
    Task,
    Transient,
    connect,
    doorbell,
    means_wait,
)
from actors.kernel.doorbell import Doorbell
from tests.conftest import RedisServer
from tests.kernel.cases.hands import Hands
from tests.kernel.cases.reaping import reaping
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation, Plain, Scripted, done

OPTIONS = KernelOptions(lease_s=2.0, beat_s=0.2)


async def test_case_20_waiting_longer_than_a_reply_may_take_is_no_error(
    own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Client timeout shorter than BLOCK (docket #425, redis-py #4125, vibetuner #2035): each idle wait broke the
    connection, and with it whatever it was about to deliver.

    The doorbell blocks for longer than a reply may take; three blocks pass without error or reconnect.
    """
    monkeypatch.setattr(doorbell, "BLOCK_S", 0.8)
    house = Installation(own_redis_server.url, OPTIONS)
    hasty = RedisOptions(url=own_redis_server.url, reply_timeout_s=0.5)
    actor = Actor(hasty, house.partitions, house.options, Scripted(done), Plain(), ActorOptions())

    async def figures() -> tuple[object, dict[str, object]]:
        stats, errors = await house.client.info("stats"), dict(await house.client.info("errorstats"))
        errors.pop("errorstat_NOSCRIPT", None)
        return stats["total_connections_received"], errors

    with structlog.testing.capture_logs() as logs:
        async with house.running(actor):
            await house.until(await house.submit(), State.COMPLETED)
            before = await figures()
            await asyncio.sleep(3 * doorbell.BLOCK_S)
            assert await figures() == before
            await house.until(await house.submit(), State.COMPLETED, within_s=1.0)
    assert [entry for entry in logs if entry["log_level"] not in ("debug", "info")] == []
    await house.client.aclose()


async def test_case_22_a_cancelled_call_loses_no_job_and_mixes_no_replies(house: Installation) -> None:
    """Cancellation (redis-py #2624, #2665 and #2663, celery #4354): a cancelled read left its reply to the next caller,
    or threw away the jobs that were in it.

    Takes and doorbells are cancelled at random moments while jobs arrive. Repeating a cancelled take under its nonce
    answers what it granted, so everything that is delivered is held by somebody; and no caller hears another's answer.
    """
    chance = random.Random(22)
    hands = Hands(house)
    bell = Doorbell(house.redis_options)
    inbox = house.keys.inbox("a", "cpu", "normal")
    jobs: list[str] = []
    granted: list[str] = []

    async def give_up(call: Awaitable[object], after_s: float) -> bool:
        task = asyncio.ensure_future(call)
        await asyncio.sleep(after_s)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
            return False
        return True

    cancelled = 0
    for number in range(300):
        nonce = f"n{number}"
        submitting = asyncio.ensure_future(house.submit())
        cancelled += await give_up(hands.take(2, nonce=nonce), chance.choice([0, 0.0002, 0.0005, 0.001]))
        cancelled += await give_up(bell.ring({inbox: "0-0"}), chance.choice([0, 0.0002, 0.001]))
        echo = f"e{number}".encode()
        assert await house.client.echo(echo) == echo
        jobs.append(await submitting)
        granted += [grant.job for grant in await hands.take(2, nonce=nonce)]
    await bell.close()
    while grants := await hands.take():
        granted += [grant.job for grant in grants]
    assert 50 < cancelled < 550
    assert sorted(granted) == sorted(jobs)
    (group,) = await house.client.xinfo_groups(inbox)
    assert group["pending"] == len(jobs) == await house.client.zcard(house.keys.leases)


async def _client_kill(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    await house.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]


async def _restart(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    server.kill()
    server.start()
    await house.client.connection_pool.disconnect()


async def _replica_for_a_while(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    await house.client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.3)
    await house.client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


async def _black_hole(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    proxy.hang()
    await asyncio.sleep(1.5)
    proxy.resume()


async def _cut_off(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    await proxy.stop()
    await asyncio.sleep(0.5)
    await proxy.start()


async def _script_flush(server: RedisServer, proxy: LossyProxy, house: Installation) -> None:
    await house.client.script_flush()


FAULTS = [_client_kill, _restart, _replica_for_a_while, _black_hole, _cut_off, _script_flush]
Fault = Callable[[RedisServer, LossyProxy, Installation], Awaitable[None]]


@pytest.fixture
async def proxied(own_redis_server: RedisServer) -> AsyncIterator[tuple[LossyProxy, Installation, Installation]]:
    """A proxy, the installation as its actors see it through the proxy, and as the test sees it directly."""
    proxy = LossyProxy(own_redis_server.directory / "proxy.sock", own_redis_server.socket)
    await proxy.start()
    through, direct = Installation(proxy.url, OPTIONS), Installation(own_redis_server.url, OPTIONS)
    through.redis_options = RedisOptions(url=proxy.url, reply_timeout_s=0.5)
    yield proxy, through, direct
    for house in (through, direct):
        await house.client.aclose()
    await proxy.stop()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
async def test_case_23_nobody_stays_deaf_after_a_fault(
    own_redis_server: RedisServer,
    proxied: tuple[LossyProxy, Installation, Installation],
    tmp_path: Path,
    fault: Fault,
) -> None:
    """Alive but deaf after a reconnect (celery #8030, #8091 and #9054; bullmq #648; laravel PR #57685): the process
    lived and answered its health check, and took no job any more.

    After the fault a new job runs within five seconds. It fails once, so it also needs a reaper that hears: only
    `promote` queues it again. The job that ran through the fault ends, and nobody was charged for anything.
    """
    proxy, through, direct = proxied
    go_on = asyncio.Event()

    async def work(task: Task) -> Result:
        if task.job == long:
            await go_on.wait()
        elif task.attempt == 0:
            raise Transient("X")
        return Done(b"{}")

    long = ""
    async with reaping(proxy.url, OPTIONS, tmp_path), through.running(through.actor(Scripted(work))):
        long = await direct.submit()
        await direct.until(long, State.RUNNING)
        await fault(own_redis_server, proxy, direct)
        job = await direct.submit()
        seen = await direct.until(job, State.COMPLETED, within_s=5.0)
        assert (seen.takes, seen.attempt, seen.crashes) == (2, 1, 0)
        go_on.set()
        seen = await direct.until(long, State.COMPLETED, within_s=5.0)
        assert (seen.takes, seen.crashes) == (1, 0)


async def test_case_24_scripts_that_are_forgotten_between_any_two_calls(
    own_redis_server: RedisServer, proxied: tuple[LossyProxy, Installation, Installation], tmp_path: Path
) -> None:
    """NOSCRIPT only half handled (groupmq #16, ioredis PR #1497): one path had no fall-back.

    The server forgets all scripts before each request of actor, beats and reaper; work goes on as ever.
    """
    proxy, through, direct = proxied

    async def forget() -> None:
        await direct.client.script_flush()

    async def work(task: Task) -> Result:
        task.report(50.0)
        await asyncio.sleep(0.5)
        if task.attempt == 0:
            raise Transient("X")
        return Done(b"{}")

    proxy.before = forget
    async with reaping(proxy.url, OPTIONS, tmp_path), through.running(through.actor(Scripted(work))):
        jobs = [await direct.submit() for _ in range(5)]
        for job in jobs:
            seen = await direct.until(job, State.COMPLETED)
            assert (seen.takes, seen.attempt, seen.crashes) == (2, 1, 0)
    info = await direct.client.info("errorstats")
    assert info["errorstat_NOSCRIPT"]["count"] > 20


async def test_the_doorbell_rings_for_what_came_before_it_listened(house: Installation) -> None:
    """Between a take that found nothing and the doorbell there is a moment; what comes then rings at once."""
    bell = Doorbell(house.redis_options)
    inbox = house.keys.inbox("a", "cpu", "normal")
    taken = await Hands(house).worker.take("00", [inbox], 1, "n1")
    await house.submit()
    async with asyncio.timeout(doorbell.BLOCK_S / 2):
        assert await bell.ring(taken.bells) == {inbox}
    await bell.close()


def test_a_connection_that_closes_under_a_call_is_lost_like_any_other(redis_url: str) -> None:
    """uvloop, on which the roles run, has an error of its own for it, which is no error of the call."""

    async def call() -> None:
        client = connect(RedisOptions(url=redis_url))
        pool: Any = client.connection_pool
        connection = await pool.get_connection()
        connection._writer.transport.abort()
        with pytest.raises(RedisError) as caught:
            await connection.send_command("PING")
        assert means_wait(caught.value)
        await pool.release(connection)
        assert await client.ping()
        await client.aclose()

    uvloop.run(call())
