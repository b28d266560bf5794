"""Parents and children: what ends with whom, what begins again, and who is told how often."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from actors.kernel import Beat, Child, End, Grant, Pulse, Spawn, State, Submission, read_log
from actors.kernel.items import OnChildFailure
from tests.kernel.cases.contents import contents, normal_form
from tests.kernel.cases.hands import Hands, commit_of, fail_of, lose_leases
from tests.kernel.stages import Installation


class Home:
    """A parent with children that runs in one worker, its children in another."""

    def __init__(self, house: Installation, on_child_failure: OnChildFailure = "go_on") -> None:
        self.house = house
        self.hands, self.nursery = Hands(house, "w"), Hands(house, "nursery")
        self.on_child_failure = on_child_failure

    async def begin(self, count: int, *, job: str = "parent", waits: bool = True) -> list[Grant]:
        """Grants of `count` children that run; the parent waits for them, or still runs."""
        self.job = await self.house.submit(job)
        self.parent = await self.hands.take_one(job, nonce=f"n{job}")
        await self.spawn(self.parent, *range(1, count + 1))
        if waits:
            assert await self.split() == End.OK
        return sorted(await self.nursery.take(count, stage="child", nonce="children"), key=lambda grant: grant.job)

    async def split(self) -> End:
        (end,) = await self.hands.worker.commit("00", [commit_of(self.parent, "joined", split=True)])
        return end

    async def spawn(self, parent: Grant, *numbers: int, stage: str = "child") -> Sequence[str]:
        outcomes: list[str] = []
        for first in range(0, len(numbers), 100):
            children = tuple(
                Child(number=number, stage=stage, spec=b"{}", input=b"{}") for number in numbers[first : first + 100]
            )
            asked = Spawn(parent.job, parent.fence, children, self.on_child_failure)
            outcomes += (await self.hands.worker.spawn("00", asked)).outcomes
        return outcomes

    async def state(self, job: str = "") -> State:
        return (await self.house.read(job or self.job)).state

    async def rows(self) -> list[str]:
        return [row.state for row in await self.hands.worker.children("00", self.job, 1, 100)]


async def _cancel(home: Home) -> None:
    await home.house.submitter.cancel(home.job, "ann")


async def _expire(home: Home) -> None:
    await home.house.client.zadd(home.house.keys.deadlines, {home.job: 1})
    await home.house.keeper.expire("00")


async def _fail(home: Home) -> None:
    await home.hands.fail(home.parent, "permanent")


async def _complete(home: Home) -> None:
    await home.hands.commit(home.parent)


async def _crash_out(home: Home) -> None:
    await home.house.client.hset(home.house.keys.job(home.job), mapping={"crashes": 2, "extra": 1})
    assert await lose_leases(home.house, home.job) == {home.job: "failed"}


ENDS: dict[str, tuple[bool, Callable[[Home], Awaitable[None]]]] = {
    "cancelled while it waits": (True, _cancel),
    "expired while it waits": (True, _expire),
    "expired while it runs": (False, _expire),
    "failed": (False, _fail),
    "completed without them": (False, _complete),
    "lost its workers": (False, _crash_out),
}


@pytest.mark.parametrize("end", ENDS)
async def test_children_end_with_their_parent(house: Installation, end: str) -> None:
    """However a parent ends, its children end: those that run hear it at the next beat and publish nothing any more."""
    home = Home(house)
    waits, ending = ENDS[end]
    running = await home.begin(3, waits=waits)
    await home.nursery.commit(running[0])
    waiting = f"{home.job}.4"
    if not waits:
        assert await home.spawn(home.parent, 4) == ["OK"]
    await ending(home)
    assert await home.state(running[0].job) == State.COMPLETED, "what had ended stays as it was"
    for child in running[1:]:
        assert await home.nursery.beat(child) == Pulse.CANCEL
        assert await home.nursery.commit(child) == End.CANCELLED
        assert await home.state(child.job) == State.CANCELLED
    if not waits:
        assert await home.state(waiting) == State.CANCELLED
    assert await home.nursery.take(stage="child") == []
    for rows in (house.keys.leases, house.keys.active):
        assert await house.client.zcard(rows) == 0
    before = await contents(house.client)
    await house.keeper.reconcile("00", "0")
    assert await contents(house.client) == before, "nothing was left to be repaired"


@pytest.mark.parametrize("where", ["take", "beat", "late", "reap", "promote", "reconcile"])
async def test_children_beyond_the_first_fifty_end_where_they_are_met(house: Installation, where: str) -> None:
    """A call ends fifty children of an ended parent; whoever meets one of the others ends it, and starts none."""
    home = Home(house)
    running = await home.begin(90)
    if where == "promote":
        await home.nursery.worker.fail("00", [fail_of(grant) for grant in running[:50]])
        await home.nursery.worker.fail("00", [fail_of(grant) for grant in running[50:]])
    elif where in ("take", "reconcile"):
        for grant in running:
            await home.nursery.release(grant)
    elif where == "late":
        await lose_leases(house, *(grant.job for grant in running))
    await home.house.submitter.cancel(home.job, "ann")
    left = [grant for grant in running if (await house.read(grant.job)).state != State.CANCELLED]
    assert len(left) == 40
    match where:
        case "take":
            assert await home.nursery.take(stage="child") == []
        case "beat":
            for grant in left:
                assert await home.nursery.beat(grant) == Pulse.CANCEL
        case "late":
            assert {await home.nursery.commit(grant) for grant in left} == {End.CANCELLED}
        case "reap":
            assert set((await lose_leases(house, *(grant.job for grant in left))).values()) == {"cancelled"}
        case "promote":
            await house.client.zadd(house.keys.due, dict.fromkeys((grant.job for grant in left), 1))
            await house.keeper.promote("00")
        case _:
            cursor = "0"
            while True:
                cursor, _ = await house.keeper.reconcile("00", cursor)
                if cursor == "0":
                    break
    assert {(await house.read(grant.job)).state for grant in running} == {State.CANCELLED}
    assert await house.client.zcard(house.keys.active) == 0


async def test_a_needed_child_that_fails_ends_its_waiting_parent_and_its_siblings(house: Installation) -> None:
    """`on_child_failure: fail`, with both failures in one list: the second finds its job ended already."""
    home = Home(house, "fail")
    first, second, third = await home.begin(3)
    ends = await home.nursery.worker.fail("00", [fail_of(first, "permanent"), fail_of(second, "permanent")])
    assert ends == [End.OK, End.CANCELLED]
    seen = await house.read(home.job)
    assert (seen.state, b"CHILD_FAILED" in (seen.error or b"")) == (State.FAILED, True)
    assert await home.nursery.commit(third) == End.CANCELLED
    log = await read_log(house.client, house.partitions, home.job)
    assert [entry.type for entry in log].count("job.failed") == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 1, 0, 2, 2)])
async def test_the_last_child_wakes_the_parent_once(house: Installation, order: tuple[int, ...]) -> None:
    """One after the other or all in one list, and with repeats: the parent's next stage is queued exactly once."""
    for together in (False, True):
        await house.client.flushdb()
        home = Home(house)
        children = await home.begin(3)
        commits = [commit_of(children[index]) for index in order]
        if together:
            await home.nursery.worker.commit("00", commits)
        else:
            for commit in commits:
                await home.nursery.worker.commit("00", [commit])
        assert await home.rows() == ["completed"] * 3
        (joined,) = await home.hands.take(stage="joined")
        assert (joined.job, joined.children) == (home.job, 3)
        log = await read_log(house.client, house.partitions, home.job)
        assert [entry.type for entry in log].count("job.queued") == 2


async def test_children_that_end_before_the_split_are_not_waited_for(house: Installation) -> None:
    """The last child may be faster than its parent: then nothing is open, and the next stage is queued at once."""
    home = Home(house)
    for child in await home.begin(2, waits=False):
        await home.nursery.commit(child)
    assert await home.split() == End.OK
    assert await home.state() == State.QUEUED


async def test_a_parent_that_nobody_woke_is_woken_by_the_next_round(house: Installation) -> None:
    """Nothing of it is open and it waits: whatever happened to its rows, it does not wait until its deadline."""
    home = Home(house)
    (child,) = await home.begin(1)
    await house.client.hset(house.keys.kids(home.job), mapping={"1": f"completed {child.fence}", "open": 0})
    await home.nursery.commit(child)
    assert await home.state() == State.WAITING
    assert (await house.keeper.reconcile("00", "0"))[1] == {home.job: "wake"}
    assert (await home.hands.take_one("joined")).job == home.job


async def test_a_child_begins_again_only_while_its_parent_waits(house: Installation) -> None:
    """Replay of a child reopens its row, so that its parent waits for it; before and after that it is refused."""
    home = Home(house)
    failed, other = await home.begin(2, waits=False)
    await home.nursery.fail(failed, "permanent")
    refused = await house.submitter.replay(failed.job, from_first=False)
    assert (refused.outcome, refused.state) == ("parent", "running")
    await home.split()
    assert (await house.submitter.replay(failed.job, from_first=False)).outcome == "ok"
    assert (await house.submitter.replay(failed.job, from_first=False)).outcome == "ok", "a repeat is no second run"
    assert await home.rows() == ["open", "open"]
    await home.nursery.commit(other)
    assert await home.state() == State.WAITING
    assert await home.nursery.commit(failed) == End.FENCED, "its first life is over"
    (again,) = await home.nursery.take(stage="child")
    assert (again.attempt, again.crashes) == (0, 0)
    await home.nursery.commit(again)
    assert await home.rows() == ["completed", "completed"]
    assert await home.state() == State.QUEUED
    late = await house.submitter.replay(again.job, from_first=False)
    assert late.outcome == "illegal"


async def test_a_parent_that_is_replayed_revives_only_children_without_success(house: Installation) -> None:
    """It waits again; who had completed is not run a second time, who had failed or was ended with it is."""
    home = Home(house, "fail")
    fine, failed, ended = await home.begin(3)
    await home.nursery.commit(fine)
    await home.nursery.fail(failed, "permanent")
    assert await home.state() == State.FAILED
    assert (await house.submitter.replay(home.job, from_first=False)).state == "waiting"
    again = await home.nursery.take(stage="child")
    assert sorted(grant.job for grant in again) == [failed.job, ended.job]
    for grant in again:
        await home.nursery.commit(grant)
    assert (await house.read(fine.job)).takes == 1
    assert await home.state() == State.QUEUED


async def test_a_child_that_waited_for_children_of_its_own_waits_again(house: Installation) -> None:
    """It does not go on to its next stage beside them, nor without those that ended with it."""
    home = Home(house)
    child, other = await home.begin(2)
    await home.spawn(child, 1, 2, 3, stage="grandchild")
    await home.nursery.worker.commit("00", [commit_of(child, "child-joined", split=True)])
    grandchildren = await home.nursery.take(1, stage="grandchild", nonce="grandchildren")
    await home.nursery.commit(grandchildren[0])
    await home.nursery.commit(other)
    await _cancel(home)
    ended = [child.job, f"{child.job}.2", f"{child.job}.3"]
    assert [await home.state(job) for job in ended] == [State.CANCELLED] * 3

    await house.submitter.replay(home.job, from_first=False)
    assert [await home.state(job) for job in ended] == [State.WAITING, State.QUEUED, State.HELD]
    assert await home.state() == State.WAITING
    assert await home.state(grandchildren[0].job) == State.COMPLETED
    for again in await home.nursery.take(2, stage="grandchild", nonce="again"):
        await home.nursery.commit(again)
    (joined,) = await home.nursery.take(5, stage="child-joined", nonce="joined")
    assert [row.state for row in await home.nursery.worker.children("00", joined.job, 1, 10)] == ["completed"] * 3
    await home.nursery.commit(joined)
    assert [grant.job for grant in await home.hands.take(5, stage="joined", nonce="end")] == [home.job]


@pytest.mark.parametrize("numbers", [(1, 1), (1, 2, 1), (2, 1, 2, 1)])
async def test_the_same_child_twice_in_one_spawn(house: Installation, numbers: tuple[int, ...]) -> None:
    """A list of children is its children one after the other: same answers, same contents."""
    found = []
    for together in (False, True):
        await house.client.flushdb()
        home = Home(house)
        await house.submitter.submit(Submission(tenant="t", stage="parent", spec=b"{}", input=b"{}", job="j00-parent"))
        home.parent = await home.hands.take_one("parent", nonce="n")
        if together:
            outcomes = await home.spawn(home.parent, *numbers)
        else:
            outcomes = [(await home.spawn(home.parent, number))[0] for number in numbers]
        found.append((list(outcomes), await normal_form(house.client, house.keys)))
    assert found[0] == found[1]


async def test_beats_of_siblings_in_one_list_raise_their_parent_once(house: Installation) -> None:
    """The parent's percent is what its children have done, however their beats are bundled or repeated."""
    home = Home(house)
    first, second = await home.begin(2)
    beats = [
        Beat(first.job, first.fence, 50.0),
        Beat(second.job, second.fence, 20.0),
        Beat(first.job, first.fence, 50.0),
    ]
    for _ in range(3):
        await home.nursery.worker.beat("00", beats)
    assert (await house.read(home.job)).percent == 35.0


async def test_a_row_that_is_closed_is_not_closed_again(house: Installation) -> None:
    """A child that was counted as ended while its hash was gone ends once more: the other one is still waited for."""
    home = Home(house)
    counted, other = await home.begin(2)
    await house.client.hset(house.keys.kids(home.job), mapping={"1": "failed ", "open": 1})
    assert await home.nursery.commit(counted) == End.OK
    assert await home.state() == State.WAITING
    assert await home.nursery.commit(other) == End.OK
    assert await home.state() == State.QUEUED
