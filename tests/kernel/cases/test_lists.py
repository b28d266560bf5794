"""Worker verbs are lists: one call with many items is the same as many calls with one."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from actors.kernel import Beat, Grant, Release, Submission
from actors.kernel.keys import Priority
from tests.kernel.cases.contents import normal_form
from tests.kernel.cases.hands import INBOXES, REASON, Hands, commit_of, fail_of, lose_leases
from tests.kernel.stages import Installation

Call = Callable[[Hands, Sequence[Grant]], Awaitable[Sequence[object]]]


def _call(verb: str, item_of: Callable[[Grant], object]) -> Call:
    async def call(hands: Hands, grants: Sequence[Grant]) -> Sequence[object]:
        answers: Sequence[object] = await getattr(hands.worker, verb)("00", [item_of(grant) for grant in grants])
        return answers

    return call


CALLS: dict[str, Call] = {
    "beat": _call("beat", lambda grant: Beat(grant.job, grant.fence, 30.0)),
    "commit next": _call("commit", lambda grant: commit_of(grant, "b")),
    "commit next, same stage": _call("commit", lambda grant: commit_of(grant, "a")),
    "commit done": _call("commit", commit_of),
    "fail transient": _call("fail", fail_of),
    "fail permanent": _call("fail", lambda grant: fail_of(grant, "permanent")),
    "fail throttled": _call("fail", lambda grant: fail_of(grant, "throttled")),
    "release": _call("release", lambda grant: Release(grant.job, grant.fence, REASON)),
}
LISTS = {
    "twice": (0, 0),
    "three times": (1, 1, 1),
    "around another": (0, 1, 0),
    "many": (0, 1, 2, 3, 2, 1, 0),
    "one that was reaped": (4, 0, 4),
    "one that is cancelled": (5, 5, 1),
    "one that another holds": (6, 2, 6),
}
"""Which of the seven grants a list names."""


async def _begin(house: Installation) -> list[Grant]:
    """Seven grants: four that stand, one that was reaped, one of a cancelled job, one whose job is another's."""
    await house.client.flushdb()
    hands = Hands(house)
    for number in range(7):
        submission = Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", job=f"j00-{number}")
        await house.submitter.submit(submission)
    grants = [await hands.take_one(nonce=f"n{number}") for number in range(7)]
    await house.submitter.cancel(grants[5].job, "ann")
    await lose_leases(house, grants[6].job)
    await Hands(house, "other").take_one(nonce="other")
    await lose_leases(house, grants[4].job)
    return grants


@pytest.mark.parametrize("names", LISTS)
@pytest.mark.parametrize("verb", CALLS)
async def test_a_list_is_its_items_one_after_the_other(house: Installation, verb: str, names: str) -> None:
    """What an earlier item of the same call changed is read again: same answers, same contents, same events."""
    call, places = CALLS[verb], LISTS[names]
    hands = Hands(house)
    grants = await _begin(house)
    apart = [(await call(hands, [grants[place]]))[0] for place in places]
    expected = await normal_form(house.client, house.keys)
    grants = await _begin(house)
    assert list(await call(hands, [grants[place] for place in places])) == apart
    assert await normal_form(house.client, house.keys) == expected


async def test_the_same_inbox_twice_in_one_take(house: Installation) -> None:
    """Every hint is met once, and never more is granted than is wanted."""
    jobs = [await house.submit() for _ in range(7)]
    hands = Hands(house)
    inboxes = [house.keys.inbox("a", "cpu", name) for name in (*INBOXES, *reversed(INBOXES))]
    first = (await hands.worker.take("00", inboxes, 5, "n1")).grants
    second = (await hands.worker.take("00", inboxes, 5, "n2")).grants
    assert [grant.job for grant in (*first, *second)] == jobs
    assert (len(first), len(second)) == (5, 2)


async def test_never_more_than_wanted_over_several_inboxes(house: Installation) -> None:
    """What one inbox gave is not asked for again in the next one."""
    for number in range(5):
        priority: Priority = "normal" if number < 2 else "low"
        await house.submitter.submit(Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", priority=priority))
    assert [len(await Hands(house).take(3)) for _ in range(2)] == [3, 2]
