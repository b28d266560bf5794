"""The table of corruptions, and what several of them do."""

from collections.abc import Callable

import msgspec

from tests.faults.checker.story import Story
from tests.faults.checker.story_plan import job_id
from tests.faults.history import ExecutionEnded, ExecutionStarted, Frame, Submitted

Change = Callable[[Story], None]
FOUND: list[tuple[str, Change, set[str]]] = []
"""Name of the corruption, what it does, and which checks must find it."""
EXPLAINED: list[tuple[str, Change]] = []
"""Corruptions with a reason: nothing may be found."""
W0, KIDS, FILM, CUT, AGAIN, LOSER, FAILED = map(job_id, range(7))


def found_by(*checks: str) -> Callable[[Change], Change]:
    """The corruption below must be found by these checks and by no other."""

    def add(change: Change) -> Change:
        FOUND.append((change.__name__, change, set(checks)))
        return change

    return add


def explained(change: Change) -> Change:
    """Nobody may complain of what is done below."""
    EXPLAINED.append((change.__name__, change))
    return change


def drop_frame(story: Story, event: str) -> None:
    story.history.remove(next(frame for frame in story.of(Frame) if frame.event == event))


def lose_job(story: Story, number: int) -> None:
    """It is nowhere in Redis."""
    job = job_id(number)
    del story.tales[job]
    story.keys = [
        msgspec.structs.replace(key, members=tuple(one for one in key.members if one != job))
        for key in story.keys
        if not key.name.endswith(job)
    ]


def submit_again(story: Story, number: int, other: int) -> None:
    """The same key makes another job, which does everything that the first one did."""
    before, now = job_id(number), job_id(other)
    tale = story.tales.pop(before)
    tale.job = now
    for event in tale.log:
        event["job"] = now
    story.tales[now] = tale
    for record in story.of(ExecutionStarted, before) + story.of(ExecutionEnded, before):
        story.change(record, job=now)
    story.tell(Submitted, number=number, job=now, tenant="many", key=f"k{number}", status="202")
    for index, key in enumerate(story.keys):
        members = tuple(now if one == before else one for one in key.members)
        story.keys[index] = msgspec.structs.replace(key, name=key.name.replace(before, now), members=members)
