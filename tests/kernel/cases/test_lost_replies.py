"""Case 21 of the handbook: a call is carried out and its reply is lost, for every verb and every single call.

One scenario calls every verb, with ids, nonces and times that do not change. It is run once without a fault, and then
once for each of its requests with exactly that reply lost. Its callers send again what was not answered, as all callers
do, and at the end the server holds the same, except for times.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from actors.kernel import (
    Beat,
    Endpoint,
    Grant,
    Keeper,
    KernelOptions,
    Release,
    State,
    Submission,
    Worker,
    read_log,
)
from actors.kernel.connection import persist
from actors.kernel.scripts import script, text, verbs
from tests.conftest import RedisServer
from tests.kernel.cases.contents import normal_form
from tests.kernel.cases.hands import INBOXES, REASON, commit_of, fail_of
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation

OPTIONS = KernelOptions(lease_s=30, beat_s=5)
Reply = TypeVar("Reply")


class Scenario:
    """Calls every verb through the proxy; changes what time would change directly."""

    def __init__(self, through: Installation, direct: Installation) -> None:
        self._direct = direct
        self._client, self._keys = direct.client, direct.keys
        self._submitter = through.submitter
        self._keeper = Keeper(through.client, through.partitions, through.options)
        self._worker = Worker(through.client, through.partitions, through.options, "w")
        self._calls = 0

    async def _submit(self, name: str, stage: str = "a", key: str | None = None) -> str:
        submission = Submission(
            tenant="t", stage=stage, spec=b"{}", input=b"{}", job=f"j00-{name}", idempotency_key=key, digest="d"
        )
        return (await self._submitter.submit(submission)).job

    async def _take(self, want: int, stage: str = "a") -> list[Grant]:
        self._calls += 1
        nonce = f"n{self._calls}"
        inboxes = [self._keys.inbox(stage, "cpu", name) for name in INBOXES]
        return (await again(lambda: self._worker.take("00", inboxes, want, nonce))).grants

    async def _commit(self, *grants: Grant, following: str = "") -> None:
        await again(lambda: self._worker.commit("00", [commit_of(grant, following) for grant in grants]))

    async def run(self) -> None:
        """From an empty database to a dozen jobs in every state."""
        await again(lambda: self._keeper.set_endpoint("t", "hook", Endpoint({"job.completed": True}, "x", 60_000)))
        for name in ("p", "q", "r", "s", "u", "v"):
            await self._submit(name, key=f"k{name}")
        await self._submit("w")
        first, second, third, fourth = await self._take(4)
        await again(
            lambda: self._worker.beat("00", [Beat(first.job, first.fence, 20.0), Beat(second.job, second.fence)])
        )
        await self._commit(first, second, following="b")
        await again(lambda: self._worker.fail("00", [fail_of(third), fail_of(fourth, "permanent")]))
        await self._commit(*await self._take(1, "b"))
        (fifth,) = await self._take(1)
        await again(lambda: self._worker.release("00", [Release(fifth.job, fifth.fence, REASON)]))
        (fifth,) = await self._take(1)
        await again(lambda: self._submitter.cancel(fifth.job, "ann"))
        await again(lambda: self._worker.beat("00", [Beat(fifth.job, fifth.fence)]))
        await again(lambda: self._worker.release("00", [Release(fifth.job, fifth.fence, REASON)]))
        await again(lambda: self._submitter.cancel("j00-w", "bob"))
        await self._keep(third)
        await self._late()

    async def _keep(self, delayed: Grant) -> None:
        """The reaper's verbs, on rows that are made old."""
        await self._client.zadd(self._keys.due, {delayed.job: 1})
        await again(lambda: self._keeper.promote("00"))
        (sixth, *_) = await self._take(1)
        await self._client.zadd(self._keys.leases, {sixth.job: 1})
        heard_ms = await self._direct.keeper.server_time_ms()
        await again(lambda: self._keeper.reap("00", heard_ms))
        await again(lambda: self._worker.beat("00", [Beat(sixth.job, sixth.fence, 50.0)]))
        await self._commit(sixth)
        await self._client.delete(self._keys.inbox("b", "cpu", "normal"))
        await again(lambda: self._keeper.reconcile("00", "0"))
        await self._client.zadd(self._keys.deadlines, {"j00-w": 1, "j00-q": 1})
        await again(lambda: self._keeper.expire("00"))
        await again(lambda: self._keeper.retention("00", ["j00-w"]))

    async def _late(self) -> None:
        """What comes after the reaper."""
        for name in ("x", "y", "z"):
            await self._submit(name, "c")
        next_one, released, failed = await self._take(3, "c")
        await self._client.zadd(self._keys.leases, dict.fromkeys(("j00-x", "j00-y", "j00-z"), 1))
        heard_ms = await self._direct.keeper.server_time_ms()
        await again(lambda: self._keeper.reap("00", heard_ms))
        await self._commit(next_one, following="b")
        await again(lambda: self._worker.release("00", [Release(released.job, released.fence, REASON)]))
        await again(lambda: self._worker.fail("00", [fail_of(failed)]))


async def again(call: Callable[[], Awaitable[Reply]]) -> Reply:
    """What every caller does with a call that was not answered."""
    return await persist(call, patience_s=10)


@asynccontextmanager
async def _proxied(server: RedisServer, name: str) -> AsyncIterator[tuple[LossyProxy, Installation]]:
    proxy = LossyProxy(server.directory / name, server.socket)
    await proxy.start()
    through = Installation(proxy.url, OPTIONS)
    try:
        yield proxy, through
    finally:
        await through.client.aclose()
        await proxy.stop()


async def _run(
    server: RedisServer,
    direct: Installation,
    lose: int | None = None,
    before: Callable[[], Awaitable[None]] | None = None,
) -> tuple[dict[str, object], int]:
    """What the server holds after the scenario, and how many requests it took."""
    await direct.client.flushdb()
    async with _proxied(server, f"proxy{lose}.sock") as (proxy, through):
        proxy.before = before
        if lose is not None:
            proxy.lose_replies(lose)
        await Scenario(through, direct).run()
        assert proxy.losses == (lose is not None)
        return await normal_form(direct.client, direct.keys), proxy.requests


@pytest.fixture
async def direct(redis_url: str) -> AsyncIterator[Installation]:
    house = Installation(redis_url, OPTIONS)
    for verb in verbs():
        await house.client.script_load(script(verb).text)
    yield house
    await house.client.aclose()


async def test_case_21_any_one_reply_may_be_lost(redis_server: RedisServer, direct: Installation) -> None:
    """Retry re-sends (redis-py #3554 and #261): a call was carried out twice, so one submit made two jobs."""
    expected, requests = await _run(redis_server, direct)
    assert requests > 30
    for number in range(1, requests + 1):
        found, _ = await _run(redis_server, direct, lose=number)
        assert found == expected, f"reply {number}"


async def test_case_21_the_scenario_calls_every_verb(redis_server: RedisServer, direct: Installation) -> None:
    """A verb that is added must be added to the scenario above."""
    await direct.client.script_flush()
    await _run(redis_server, direct)
    known = await direct.client.script_exists(*(script(verb).digest for verb in verbs()))
    assert [verb for verb, called in zip(verbs(), known, strict=True) if not called] == []


async def test_case_21_every_state_is_reached_and_every_history_is_whole(
    redis_server: RedisServer, direct: Installation
) -> None:
    """The scenario is worth something only while it goes through all states; revisions are contiguous in each job."""
    await _run(redis_server, direct)
    states, jobs = set(), [text(key).partition("job:")[2] for key in await direct.client.keys("*:job:*")]
    for job in jobs:
        states.add((await direct.read(job)).state)
        log = await read_log(direct.client, direct.partitions, job)
        assert [entry.rev for entry in log] == list(range(1, len(log) + 1))
        ends = [
            entry.type for entry in log if entry.type in ("job.completed", "job.failed", "job.cancelled", "job.expired")
        ]
        assert len(ends) <= 1
    assert states >= {State.QUEUED, State.DELAYED, State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED}


async def test_case_24_scripts_forgotten_before_each_call_change_nothing(
    redis_server: RedisServer, direct: Installation
) -> None:
    """NOSCRIPT only half handled (groupmq #16): the same scenario on a server that forgets its scripts all the time."""
    expected, _ = await _run(redis_server, direct)

    async def forget() -> None:
        await direct.client.script_flush()

    found, _ = await _run(redis_server, direct, before=forget)
    assert found == expected


async def test_two_replies_in_a_row_may_be_lost(redis_server: RedisServer, direct: Installation) -> None:
    """The repeat of a call is a call like others: its reply may be lost too."""
    expected, requests = await _run(redis_server, direct)
    for number in range(1, requests, 5):
        await direct.client.flushdb()
        async with _proxied(redis_server, f"twice{number}.sock") as (proxy, through):
            proxy.lose_replies(number, number + 1)
            await Scenario(through, direct).run()
            assert proxy.losses == 2
            assert await normal_form(direct.client, direct.keys) == expected
