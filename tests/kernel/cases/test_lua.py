"""Cases of Lua: what a script does half way, on bad data, and on a full server."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.exceptions import RedisError

from actors.kernel import Beat, Child, End, Grant, Pulse, Release, Spawn, State, StoreFull, is_full
from tests.conftest import RedisServer
from tests.kernel.cases.contents import contents, normal_form
from tests.kernel.cases.hands import REASON, Hands, commit_of, fail_of
from tests.kernel.cases.scenario import OPTIONS, Scenario
from tests.kernel.stages import Installation, Scripted, done


@pytest.fixture
async def own_house(own_redis_server: RedisServer) -> AsyncIterator[Installation]:
    house = Installation(own_redis_server.url, OPTIONS)
    yield house
    await house.client.aclose()


async def test_case_27_a_full_server_refuses_new_work_and_ends_old_work(own_house: Installation) -> None:
    """OOM (bull #416): a full server refused the very writes that would have freed it.

    The scenario of every verb runs once as it is, and once at maxmemory except where work is admitted: the server holds
    the same at the end. A new submission is refused whole.
    """
    await Scenario(own_house, own_house).run()
    expected = await normal_form(own_house.client, own_house.keys)
    await own_house.client.flushdb()
    await Scenario(own_house, own_house, full=True).run()
    assert await normal_form(own_house.client, own_house.keys) == expected
    await own_house.client.config_set("maxmemory", 1)
    before = await contents(own_house.client)
    with pytest.raises(StoreFull):
        await own_house.submit()
    assert await contents(own_house.client) == before


async def test_case_27_beats_with_progress_renew_leases_on_a_full_server(own_house: Installation) -> None:
    """A worker whose beat is refused would lose its lease, and its work would be repeated into a full server."""
    hands = Hands(own_house)
    jobs = [await own_house.submit() for _ in range(20)]
    grants = await hands.take()
    await own_house.client.zadd(own_house.keys.leases, dict.fromkeys(jobs, 1))
    await own_house.client.config_set("maxmemory", 1)
    beats = [Beat(grant.job, grant.fence, 42.0, b'{"speed":1.5,"eta_s":12}') for grant in grants]
    for _ in range(3):
        assert await hands.worker.beat("00", beats) == [Pulse.OK] * 20
    assert await own_house.reap() == {}
    assert {(await own_house.read(job)).percent for job in jobs} == {42.0}
    assert await hands.commit(grants[0], "b") == End.OK


async def test_case_27_children_are_new_work(own_house: Installation) -> None:
    """`spawn` is refused whole by a full server, which its caller turns into a wait; its parent keeps its lease."""
    hands = Hands(own_house)
    await own_house.submit()
    grant = await hands.take_one()
    children = tuple(Child(number=number, stage="a", spec=b"{}", input=b"{}") for number in range(1, 20))
    await own_house.client.config_set("maxmemory", 1)
    before = await contents(own_house.client)
    with pytest.raises(RedisError) as refused:
        await hands.worker.spawn("00", Spawn(grant.job, grant.fence, children))
    assert is_full(refused.value)
    assert await contents(own_house.client) == before
    assert await hands.beat(grant) == Pulse.OK
    assert await hands.fail(grant, "throttled") == End.OK


async def test_case_27_an_actor_works_a_full_server_empty(own_house: Installation) -> None:
    """Nothing is stuck: what was accepted runs while the server is full, and new work is accepted when it is not."""
    jobs = [await own_house.submit() for _ in range(10)]
    await own_house.client.config_set("maxmemory", 1)
    async with own_house.running(own_house.actor(Scripted(done))):
        for job in jobs:
            await own_house.until(job, State.COMPLETED)
        with pytest.raises(StoreFull):
            await own_house.submit()
        await own_house.client.config_set("maxmemory", 0)
        await own_house.until(await own_house.submit(), State.COMPLETED)


async def _break_to_text(house: Installation, job: str) -> None:
    await house.client.set(house.keys.job(job), "not a hash")


async def _break_number(house: Installation, job: str) -> None:
    await house.client.hset(house.keys.job(job), mapping={"attempt": "many", "extra": 1})


async def _break_state(house: Installation, job: str) -> None:
    await house.client.hset(house.keys.job(job), "state", "confused")


async def _break_fields(house: Installation, job: str) -> None:
    await house.client.hdel(house.keys.job(job), "deadline", "tenant")


DAMAGES = [_break_to_text, _break_number, _break_state, _break_fields]
Damage = Callable[[Installation, str], Awaitable[None]]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
@pytest.mark.parametrize("verb", ["promote", "reap", "expire", "reconcile", "take"])
async def test_case_26_one_broken_job_stops_no_other(house: Installation, verb: str, damage: Damage) -> None:
    """A script fails half way (infrahub PR #10133, oban #1416): one row that could not be read kept the stager of every
    queue from all others.

    One job of a hundred is damaged: the verb does its work on the other ninety-nine, puts that one aside with the
    reason, and finds nothing to do the next time.
    """
    hands = Hands(house)
    jobs = [await house.submit() for _ in range(100)]
    broken = jobs[40]
    if verb in ("promote", "reap"):
        while grants := await hands.take():
            if verb == "promote":
                await hands.worker.fail("00", [fail_of(grant) for grant in grants])
    rows = {"promote": house.keys.due, "reap": house.keys.leases, "expire": house.keys.deadlines}.get(verb)
    if rows is not None:
        await house.client.zadd(rows, dict.fromkeys(jobs, 1))
    await damage(house, broken)
    done_to = [await _carry_out(house, verb) for _ in range(3)]
    assert sorted(job for found in done_to for job in found if job != broken) == sorted(set(jobs) - {broken})
    assert done_to[-1] == []
    assert await house.client.exists(house.keys.job(broken)) == 0
    assert await house.client.zrange(house.keys.root + "quarantine", 0, -1) == [broken.encode()]
    assert await house.client.exists(house.keys.root + f"quarantined:{broken}") == 1
    for name in (house.keys.due, house.keys.leases, house.keys.active, house.keys.deadlines):
        assert await house.client.zscore(name, broken) is None


async def _carry_out(house: Installation, verb: str) -> list[str]:
    """Carries the verb out once on everything there is; the jobs it did something to."""
    match verb:
        case "promote":
            return await house.keeper.promote("00")
        case "reap":
            return list(await house.reap())
        case "expire":
            return (await house.keeper.expire("00")).jobs
        case "reconcile":
            return await _reconciled(house)
        case _:
            return [grant.job for grant in await Hands(house).take(100)]


async def _reconciled(house: Installation) -> list[str]:
    """A whole round over hints that are all lost, once."""
    if not await house.client.exists("test:lost"):
        await house.client.set("test:lost", 1)
        await house.keeper.turn("t")
        await Hands(house).take(1, stage="nobody")
        await house.client.delete(house.keys.inbox("a", "cpu", "normal"), house.keys.held("t"))
    cursor, found = "0", []
    while True:
        cursor, repairs = await house.keeper.reconcile("00", cursor)
        found += [job for job, repair in repairs.items() if repair != "row"]
        if cursor == "0":
            return found


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
@pytest.mark.parametrize("verb", ["beat", "commit", "fail", "release"])
async def test_case_26_one_broken_item_stops_no_other_of_its_call(
    house: Installation, verb: str, damage: Damage
) -> None:
    """The same in the lists of a worker: its other jobs end as if the broken one were not there."""
    hands = Hands(house)
    jobs = [await house.submit() for _ in range(20)]
    grants = await hands.take()
    await damage(house, jobs[7])
    items: dict[str, Callable[[Grant], object]] = {
        "beat": lambda grant: Beat(grant.job, grant.fence, 10.0),
        "commit": lambda grant: commit_of(grant, "b"),
        "fail": fail_of,
        "release": lambda grant: Release(grant.job, grant.fence, REASON),
    }
    answers = await getattr(hands.worker, verb)("00", [items[verb](grant) for grant in grants])
    by_job = dict(zip([grant.job for grant in grants], answers, strict=True))
    assert by_job.pop(jobs[7]) in ("GONE", "FENCED")
    assert set(by_job.values()) == {"OK"}


@pytest.mark.parametrize("verb", ["commit", "fail", "release", "promote", "reap", "take"])
async def test_case_26_a_broken_history_does_not_keep_its_job(house: Installation, verb: str) -> None:
    """The job's log holds something else: that is put aside, and the job goes on beside the others of its call."""
    hands = Hands(house)
    jobs = [await house.submit() for _ in range(10)]
    grants = await hands.take() if verb != "take" else []
    if verb == "promote":
        await hands.worker.fail("00", [fail_of(grant) for grant in grants])
        await house.client.zadd(house.keys.due, dict.fromkeys(jobs, 1))
    elif verb == "reap":
        await house.client.zadd(house.keys.leases, dict.fromkeys(jobs, 1))
    await house.client.set(house.keys.log(jobs[3]), "not a list")
    match verb:
        case "commit":
            answers = await hands.worker.commit("00", [commit_of(grant) for grant in grants])
        case "fail":
            answers = await hands.worker.fail("00", [fail_of(grant) for grant in grants])
        case "release":
            answers = await hands.worker.release("00", [Release(grant.job, grant.fence, REASON) for grant in grants])
        case _:
            answers = []
            assert sorted(await _carry_out(house, verb)) == sorted(jobs)
    assert set(answers) <= {End.OK}
    assert await house.client.get(house.keys.root + f"quarantined:log:{jobs[3]}") == b"not a list"
    assert await house.client.llen(house.keys.log(jobs[3])) >= 1
