"""The handbook's cases of Lua: what a script does half way, on bad data, and on a full server."""

from collections.abc import AsyncIterator

import pytest

from actors.kernel import Beat, End, Pulse, State, StoreFull
from tests.conftest import RedisServer
from tests.kernel.cases.contents import contents, normal_form
from tests.kernel.cases.hands import Hands
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
