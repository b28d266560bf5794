"""Case 21 of docs/guarantees.md: a call is carried out and its reply is lost, for every verb and every single call.

The scenario that calls every verb is run once without a fault, and then once for each of its requests with exactly that
reply lost. Its callers send again what was not answered, as all callers do, and at the end the server holds the same.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from actors.kernel import State, read_log
from actors.kernel.pauses import Pauses
from actors.kernel.scripts import script, text, verbs
from actors.kernel.system_scripts import SYSTEM, SystemScripts
from tests.conftest import RedisServer
from tests.kernel.cases.contents import normal_form
from tests.kernel.cases.hands import Hands, lose_leases
from tests.kernel.cases.scenario import OPTIONS, Scenario, again
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation


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
    """The scenario is worth something only while it reaches every state; revisions are contiguous in each job."""
    await _run(redis_server, direct)
    states, jobs = set(), [text(key).partition("job:")[2] for key in await direct.client.keys("*:job:*")]
    for job in jobs:
        states.add((await direct.read(job)).state)
        log = await read_log(direct.client, direct.partitions, job)
        assert [entry.rev for entry in log] == list(range(1, len(log) + 1))
        types = [entry.type for entry in log]
        ends = sum(types.count(end) for end in ("job.completed", "job.failed", "job.cancelled", "job.expired"))
        assert ends <= 1 + types.count("job.replayed")
    assert states == set(State) - {State.RUNNING}


async def test_case_24_scripts_forgotten_before_each_call_change_nothing(
    redis_server: RedisServer, direct: Installation
) -> None:
    """NOSCRIPT only half handled (groupmq #16): the same scenario on a server that forgets its scripts all the time."""
    expected, _ = await _run(redis_server, direct)

    async def forget() -> None:
        await direct.client.script_flush()

    found, _ = await _run(redis_server, direct, before=forget)
    assert found == expected


@pytest.mark.heavy
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


async def _run_the_installation(through: Installation, direct: Installation) -> list[object]:
    """Every script that concerns no job; what they left and what they answered at last."""
    scripts, pauses = SystemScripts(through.client), Pauses(through.client, through.partitions)
    workers, place = [f"{SYSTEM}workers", f"{SYSTEM}present"], [f"{SYSTEM}limit:site"]
    for name in ("w1", "w2"):
        await again(lambda name=name: scripts.call("announce", workers, [name, "{}", 60_000]))  # type: ignore[misc]
    await again(lambda: scripts.call("withdraw", workers, ["w1"]))
    entered = [
        await again(lambda holder=holder: scripts.call("enter", place, [2, 30_000, holder]))  # type: ignore[misc]
        for holder in ("j1", "j2", "j1", "j3")
    ]
    await again(lambda: pauses.pause("fetch", "ann", "rates"))
    await again(lambda: pauses.pause("store", "ann"))
    await again(lambda: pauses.resume("store"))
    await again(lambda: pauses.copy("00", {}))
    await again(lambda: pauses.pause("fetch", "bob"))
    known = await again(lambda: scripts.call("workers", workers, [0]))
    left = Pauses(direct.client, direct.partitions)
    return [
        [known[0], known[2]],
        [enter[0] for enter in entered],
        sorted(await left.copied("00")),
        [(pause.stage, pause.by) for pause in await left.list()],
        sorted(await direct.client.zrange(place[0], 0, -1)),
    ]


async def test_case_21_scripts_of_the_installation_may_be_repeated(
    redis_server: RedisServer, direct: Installation
) -> None:
    """Presence, named limits and pauses have scripts of their own; their callers repeat them too."""
    expected = await _run_the_installation(direct, direct)
    assert expected[1:3] == [[1, 1, 1, 0], ["fetch"]]
    for number in range(1, 40):
        await direct.client.flushdb()
        async with _proxied(redis_server, f"sys{number}.sock") as (proxy, through):
            proxy.lose_replies(number)
            assert await _run_the_installation(through, direct) == expected
            if not proxy.losses:
                assert number > 12
                return


@pytest.mark.parametrize("meanwhile", ["nothing", "reaped", "taken by another", "released"])
async def test_a_take_that_is_asked_again_answers_what_stands(direct: Installation, meanwhile: str) -> None:
    """The reply was lost for longer than a lease: its grants come back while nobody else has them, uncharged."""
    hands, other = Hands(direct), Hands(direct, "other")
    jobs = [await direct.submit() for _ in range(3)]
    granted = await hands.take(nonce="lost")
    assert [grant.job for grant in granted] == jobs
    if meanwhile != "nothing":
        assert await lose_leases(direct, jobs[1]) == {jobs[1]: "requeued"}
    if meanwhile == "taken by another":
        await other.take_one()
    if meanwhile == "released":
        await other.release(granted[0])
    again = await hands.take(nonce="lost")
    gone = {"taken by another": jobs[1], "released": jobs[0]}.get(meanwhile)
    assert [(grant.job, grant.fence) for grant in again] == [
        (grant.job, grant.fence) for grant in granted if grant.job != gone
    ]
    assert {(await direct.read(job)).crashes for job in jobs} == {0}
