"""Where a job waits when its tenant has enough under way: windows, limits, and in what order turns are given."""

import pytest

from actors.kernel import Commit, Endpoint, KernelOptions, Submission, Submitter
from actors.kernel.keys import Priority
from tests.kernel.cases.hands import Hands, commit_of
from tests.kernel.stages import Installation


@pytest.fixture
def kernel_options() -> KernelOptions:
    return KernelOptions(lease_s=10, window=2, tenant_backlog=2)


async def submit(house: Installation, priority: Priority = "normal", tenant: str = "t") -> str:
    submission = Submission(tenant=tenant, stage="a", spec=b"{}", input=b"{}", priority=priority)
    return (await house.submitter.submit(submission)).job


async def states(house: Installation, *jobs: str) -> list[str]:
    return [str((await house.read(job)).state) for job in jobs]


async def test_a_window_is_of_one_tenant_in_one_queue(house: Installation) -> None:
    mine = [await submit(house) for _ in range(3)]
    assert await states(house, *mine) == ["queued", "queued", "held"]
    assert await states(house, await submit(house, tenant="u"), await house.submit("b")) == ["queued", "queued"]


async def test_a_window_is_as_wide_as_the_widest_worker(house: Installation) -> None:
    await Hands(house).take(4)
    assert await states(house, *[await submit(house) for _ in range(5)]) == ["queued"] * 4 + ["held"]


async def test_the_next_one_follows_when_an_earlier_one_is_taken(house: Installation) -> None:
    jobs = [await submit(house) for _ in range(4)]
    assert (await Hands(house).take_one()).job == jobs[0]
    assert await states(house, *jobs) == ["running", "queued", "queued", "held"]


async def test_turns_go_by_priority_and_then_by_submission(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    running, normal, high = [await submit(house, priority) for priority in ("normal", "normal", "high")]
    hands = Hands(house)
    order = []
    for _ in range(3):
        grant = await hands.take_one()
        order.append(grant.job)
        await hands.commit(grant)
    assert order == [running, high, normal]


async def test_a_held_job_goes_behind_what_waits_with_less_priority(house: Installation) -> None:
    """Otherwise a tenant with enough important jobs would keep the others out for ever."""
    important = [await submit(house, "high") for _ in range(3)]
    await submit(house, "low", tenant="u")
    assert (await Hands(house).take_one()).job == important[0]
    hands = Hands(house)
    assert [grant.job for grant in await hands.take(1)] == [important[1]]
    assert (await house.client.hget(house.keys.job(important[2]), "inbox")) == b"in:a:cpu:low"


async def test_who_has_begun_goes_before_who_has_not(house: Installation) -> None:
    await house.keeper.set_limit("t", 2)
    hands = Hands(house)
    for _ in range(2):
        await submit(house)
    grants = await hands.take(2)
    waiting = await submit(house)
    assert await states(house, waiting) == ["held"]
    await hands.worker.commit("00", [commit_of(grants[0], "a")])
    assert await states(house, grants[0].job, waiting) == ["queued", "held"]
    assert (await hands.take_one()).job == grants[0].job


async def test_who_has_begun_goes_before_who_is_more_important(house: Installation) -> None:
    """The window is full, so the next stage of a job of low priority waits behind it: it keeps its slot meanwhile."""
    begun = await submit(house, "low")
    hands = Hands(house)
    grant = await hands.take_one()
    jobs = [await submit(house, "high") for _ in range(3)]
    await hands.worker.commit("00", [commit_of(grant, "a")])
    assert await states(house, *jobs, begun) == ["queued", "queued", "held", "held"]
    await hands.take_one()
    assert await states(house, *jobs[1:], begun) == ["queued", "held", "queued"]


async def test_a_limit_that_is_raised_gives_turns_at_once(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    jobs = [await submit(house) for _ in range(2)]
    assert await states(house, *jobs) == ["queued", "held"]
    await house.keeper.set_limit("t", 2)
    assert await states(house, *jobs) == ["queued", "queued"]


async def test_work_that_failed_gives_its_slot_up_while_it_waits(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    jobs = [await submit(house) for _ in range(2)]
    hands = Hands(house)
    await hands.fail(await hands.take_one())
    assert await states(house, *jobs) == ["delayed", "queued"]


async def test_work_that_comes_back_keeps_its_slot(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    jobs = [await submit(house) for _ in range(2)]
    hands = Hands(house)
    await hands.release(await hands.take_one())
    assert await states(house, *jobs) == ["queued", "held"]


async def test_a_tenant_may_hold_so_many_and_no_more(house: Installation) -> None:
    for _ in range(4):
        await submit(house)
    refused = await house.submitter.submit(Submission(tenant="t", stage="a", spec=b"{}", input=b"{}"))
    assert (refused.outcome, refused.state) == ("busy", "")
    assert await house.client.exists(house.keys.job(refused.job)) == 0
    assert await states(house, await submit(house, tenant="u")) == ["queued"]


async def test_a_partition_takes_so_many_and_no_more(house: Installation) -> None:
    options = KernelOptions(partition_jobs=1)
    submitter = Submitter(house.client, house.partitions, options)
    outcomes = [
        (await submitter.submit(Submission(tenant=tenant, stage="a", spec=b"{}", input=b"{}"))).outcome
        for tenant in ("t", "u")
    ]
    assert outcomes == ["ok", "crowded"]


async def test_deliveries_need_no_slot(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    await house.keeper.set_endpoint("t", "hook", Endpoint({"job.completed": True}, "https://x.example", 60_000))
    hands = Hands(house)
    first, second = await submit(house), await submit(house)
    await hands.commit(await hands.take_one())
    assert (await hands.take_one()).job == second
    (delivery,) = await hands.take(stage="notify")
    assert delivery.job.startswith(f"{first}.e")


async def test_a_job_leaves_a_deserted_lane_only_if_it_may(house: Installation) -> None:
    hands = Hands(house)
    movable, fixed = await submit(house), await submit(house)
    grants = await hands.take(2)
    for grant in grants:
        rescue = grant.job == movable
        await hands.worker.commit("00", [Commit(grant.job, grant.fence, "next", "b", "gpu", b"{}", rescue=rescue)])
    assert await hands.take(stage="b") == []
    _, repairs = await house.keeper.reconcile("00", "0", ["b:gpu"])
    assert repairs == {movable: "lane"}
    assert [grant.job for grant in await hands.take(stage="b")] == [movable]
    assert (await house.read(fixed)).lane == "gpu"


async def test_a_limit_that_is_lowered_counts_for_what_waits(house: Installation) -> None:
    """Two hints lie in the inbox already: one call that wants both starts one."""
    jobs = [await submit(house) for _ in range(2)]
    await house.keeper.set_limit("t", 1)
    assert [grant.job for grant in await Hands(house).take(2)] == jobs[:1]
    assert await states(house, *jobs) == ["running", "held"]
