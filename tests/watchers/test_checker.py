"""The checker notices each thing that can be wrong with a stream, and every rule of it is needed."""

import copy
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watchers import checker
from tests.watchers.checker import Allowed, Kept, Logged, judge
from tests.watchers.frames import Frame
from tests.watchers.story import Connected, Item, Left, Story

JOB = "j00-a"
STRICT = Allowed()
LOSSY = Allowed(resync=True, undone_ms=(1003, 1004))
KEPT: Kept = {
    1: Logged("job.queued", "1001-0", 1001),
    2: Logged("job.started", "1002-0", 1002),
    3: Logged("job.stage", "1003-0", 1003),
    4: Logged("job.started", "1004-0", 1004),
    5: Logged("job.completed", "1005-0", 1005),
}
SOURCE = Path(checker.__file__).read_text("utf-8")


def told(event: str, rev: int, data: dict[str, Any] | None = None, **changes: Any) -> Frame:
    identity = changes.pop("id", None if event == "job.progress" else f"e1.{1000 + rev}-0")
    fields: dict[str, Any] = {"id": identity, "type": event, "job": JOB, "rev": rev, "at": "T", "data": data or {}}
    return Frame(event, identity, None, fields | changes)


def whole(event: str, rev: int, percent: float = 0.0, state: str = "running") -> Frame:
    return told(event, rev, {"state": state, "progress": {"percent": percent}})


def progress(rev: int, percent: float, **changes: Any) -> Frame:
    return told("job.progress", rev, {"progress": {"percent": percent}}, **changes)


def prime(cursor: str = "e1.0-0") -> Frame:
    return Frame("", cursor, 3000)


def end(state: str | None = "completed") -> Frame:
    return Frame("end", data={"job": JOB, "state": state})


BEAT = Frame("heartbeat", data={"at": "T"})
AWAY = Frame("reconnect", None, 700, {"reason": "draining", "retry_ms": 700})


def story(*items: Item) -> Story:
    return Story("w1", JOB, list(items))


GOOD = story(
    Connected(None, "stream"),
    prime(),  # 1
    whole("snapshot", 1),  # 2
    BEAT,
    told("job.started", 2),  # 4
    progress(2, 10.0),  # 5
    AWAY,  # 6
    Connected("e1.1002-0", "stream"),  # 7
    prime("e1.1002-0"),  # 8
    told("job.stage", 3),  # 9
    told("job.started", 4),
    progress(4, 40.0),  # 11
    told("job.completed", 5),  # 12
    end(),  # 13
)
LATE = story(
    Connected(None, "stream"),
    prime(),
    whole("snapshot", 5, 100.0, "completed"),  # 2
    told("job.completed", 5),  # 3
    end(),
)
STOPPED = story(*GOOD.items[:-1], Connected("e1.1005-0", "ended"))
RESYNCED = story(
    *GOOD.items[:11],
    whole("resync", 2, 5.0),  # 11
    told("job.stage", 3),
    told("job.started", 4),
    told("job.completed", 5),
    end(),
)
# It had left with an end that was undone afterwards.
GONE = story(*GOOD.items[:10], told("job.failed", 4), end("failed"))
# By a WebSocket, which has no primed id.
SOCKET = story(
    Connected(None, "stream", primed=False),
    *GOOD.items[2:7],
    Connected("e1.1002-0", "stream", primed=False),
    *GOOD.items[9:],
)
SHED = story(Connected(None, "stream"), AWAY, *GOOD.items)
CUT_EARLY = story(Connected(None, "stream"), prime(), Connected("e1.0-0", "stream"), *GOOD.items[1:])


@pytest.mark.parametrize("good", [GOOD, LATE, STOPPED, SOCKET, SHED, CUT_EARLY, story(*GOOD.items[:5], Left())])
def test_a_true_story_is_no_fault(good: Story) -> None:
    assert judge(good, KEPT, STRICT) == []


def test_a_fault_that_loses_something_excuses_a_resync() -> None:
    assert judge(RESYNCED, KEPT, LOSSY) == []
    assert {wrong.rule for wrong in judge(RESYNCED, KEPT, STRICT)} >= {"resync", "undone"}


def again(cursor: str, epoch: str) -> list[Item]:
    """It is told the end once more by a feed of this epoch."""
    return [
        Connected(cursor, "stream"),
        prime(cursor),
        told("resync", 5, {"state": "completed", "progress": {"percent": 100.0}}, id=f"{epoch}.1005-0"),
        told("job.completed", 5, id=f"{epoch}.1005-0"),
        end(),
    ]


def test_the_end_is_told_once_more_only_by_another_feed_and_to_who_comes_back() -> None:
    missed = Allowed(resync=True)
    assert judge(story(*GOOD.items[:-1], *again("e1.1005-0", "e2")), KEPT, missed) == []
    for again_, allowed in (
        (again("e1.1005-0", "e1"), missed),
        (again("e1.1005-0", "e2")[2:], missed),
        (again("e1.1005-0", "e2"), STRICT),
    ):
        assert "after-end" in {wrong.rule for wrong in judge(story(*GOOD.items[:-1], *again_), KEPT, allowed)}


def test_an_end_may_be_undone_like_anything_else() -> None:
    taken_back = story(
        *GOOD.items[:10],
        told("job.failed", 4),
        Connected("e1.1004-0", "stream"),
        prime("e1.1004-0"),
        whole("resync", 2, 20.0),
        *RESYNCED.items[12:],
    )
    assert judge(taken_back, KEPT, LOSSY) == []
    assert "after-end" in {wrong.rule for wrong in judge(taken_back, KEPT, Allowed(resync=True))}


def test_progress_may_be_undone_without_an_event_and_then_nobody_can_tell() -> None:
    at = "1970-01-01T00:00:01.003Z"
    back = [Connected("e1.1002-0", "stream"), prime("e1.1002-0"), progress(2, 7.0), *GOOD.items[9:]]
    assert judge(story(*GOOD.items[:5], progress(2, 10.0, at=at), *back), KEPT, LOSSY) == []
    for changed, allowed in (
        (story(*GOOD.items[:5], progress(2, 10.0, at=at), progress(2, 7.0), *GOOD.items[9:]), LOSSY),
        (story(*GOOD.items[:5], progress(2, 10.0, at="1970-01-01T00:00:01.002Z"), *back), LOSSY),
        (story(*GOOD.items[:5], progress(2, 10.0, at=at), *back), STRICT),
    ):
        assert {wrong.rule for wrong in judge(changed, KEPT, allowed)} == {"percent"}


def test_who_left_with_an_end_that_was_undone_cannot_be_told() -> None:
    assert judge(GONE, KEPT, LOSSY) == []
    assert {wrong.rule for wrong in judge(GONE, KEPT, STRICT)} == {"kept"}


Change = Callable[[list[Item]], object]


def put(place: int, *items: Item) -> Change:
    return lambda told_items: told_items.__setitem__(slice(place, place), items)


def swap(place: int, *items: Item) -> Change:
    return lambda told_items: told_items.__setitem__(slice(place, place + 1), items)


def drop(first: int, last: int | None = None) -> Change:
    return lambda told_items: told_items.__delitem__(slice(first, last if last is not None else first + 1))


CORRUPTIONS: dict[str, tuple[str, Story, Allowed, Change]] = {
    "a missing event": ("gap", GOOD, STRICT, drop(9)),
    "a missing event after a resync": ("gap", RESYNCED, LOSSY, drop(12)),
    "an event twice": ("duplicate", GOOD, STRICT, put(10, told("job.stage", 3, id="e1.1003-1"))),
    "the event of the cursor again": ("duplicate", GOOD, STRICT, put(9, told("job.started", 2))),
    "an event after the terminal one": ("after-end", GOOD, STRICT, put(13, told("job.started", 6))),
    "progress after the terminal event": ("after-end", GOOD, STRICT, put(13, progress(5, 100.0))),
    "a second end": ("after-end", GOOD, STRICT, put(14, end())),
    "a client that comes back after end": ("after-end", GOOD, STRICT, put(14, Connected("e1.1005-0", "stream"))),
    "no terminal event": ("unseen", GOOD, STRICT, drop(12, 14)),
    "no terminal event after a terminal snapshot": ("unseen", LATE, STRICT, drop(3)),
    "no end": ("open", GOOD, STRICT, drop(13)),
    "an end of another state": ("end", GOOD, STRICT, swap(13, end("failed"))),
    "an end before the terminal event": ("end", GOOD, STRICT, drop(12)),
    "stopped before the end": ("stopped", GOOD, STRICT, swap(7, Connected("e1.1002-0", "ended"))),
    "an unknown job": ("unknown", GOOD, STRICT, swap(7, Connected("e1.1002-0", "unknown"))),
    "percent that falls": ("percent", GOOD, STRICT, swap(11, progress(4, 9.0))),
    "percent that falls in a snapshot": ("undone", RESYNCED, Allowed(resync=True), swap(11, whole("resync", 4, 5.0))),
    "a resync at a lower revision": ("undone", RESYNCED, Allowed(resync=True), swap(11, whole("resync", 2, 50.0))),
    "a resync without a cause": ("resync", GOOD, STRICT, swap(9, whole("resync", 3, 10.0))),
    "progress with an id": ("progress", GOOD, STRICT, swap(11, progress(4, 40.0, id="e1.1004-0"))),
    "progress of a revision not shown": ("progress", GOOD, STRICT, swap(11, progress(5, 40.0))),
    "an id that does not parse": ("id", GOOD, STRICT, swap(9, told("job.stage", 3, id="1003"))),
    "an id that does not rise": ("id", GOOD, STRICT, swap(10, told("job.started", 4, id="e1.1003-0"))),
    "an id of another feed": ("id", GOOD, STRICT, swap(10, told("job.started", 4, id="e2.1004-0"))),
    "no snapshot": ("begin", GOOD, STRICT, drop(2)),
    "no snapshot on a WebSocket": ("begin", SOCKET, STRICT, drop(1)),
    "a snapshot in the middle": ("begin", GOOD, STRICT, swap(9, whole("snapshot", 3, 10.0))),
    "a snapshot of an ended job goes on": ("begin", LATE, STRICT, swap(3, told("job.started", 6))),
    "an ended job's other end": ("begin", LATE, STRICT, swap(3, told("job.failed", 5))),
    "no primed id": ("prime", GOOD, STRICT, drop(1)),
    "a primed id that is not the client's": ("prime", GOOD, STRICT, swap(8, prime("e1.1001-0"))),
    "a primed id at the beginning for one with a cursor": ("prime", GOOD, STRICT, swap(8, prime())),
    "no word of when to come back": ("prime", GOOD, STRICT, swap(1, Frame("", "e1.0-0"))),
    "a client that loses its cursor": ("cursor", GOOD, STRICT, swap(7, Connected("e1.1001-0", "stream"))),
    "a heartbeat with an id": ("heartbeat", GOOD, STRICT, swap(3, Frame("heartbeat", "e1.1001-0", None, {"at": "T"}))),
    "a reconnect without a time": ("reconnect", GOOD, STRICT, swap(6, Frame("reconnect", data={"reason": "x"}))),
    "more after a reconnect": ("reconnect", GOOD, STRICT, put(7, BEAT)),
    "an envelope of another job": ("envelope", GOOD, STRICT, swap(9, told("job.stage", 3, job="j00-b"))),
    "an envelope without its type": ("envelope", GOOD, STRICT, swap(9, told("job.stage", 3, type="job.x"))),
    "an event that never was": ("kept", GOOD, STRICT, swap(9, told("job.stage", 3, id="e1.1003-7"))),
    "an event that was undone and stays": ("kept", GOOD, LOSSY, swap(9, told("job.stage", 3, id="e1.1003-7"))),
    "an event from before the loss": ("kept", GONE, LOSSY, swap(4, told("job.started", 2, id="e1.1002-7"))),
    "an end before the last event": ("kept", GOOD, STRICT, lambda items: items.__setitem__(
        slice(10, 14), [told("job.completed", 4), end()])),
}  # fmt: skip


def _rules(judge_: Callable[..., list[Any]], name: str) -> set[str]:
    _, base, allowed, change = CORRUPTIONS[name]
    changed = copy.copy(base)
    changed.items = list(base.items)
    change(changed.items)
    return {wrong.rule for wrong in judge_(changed, KEPT, allowed)}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_story_is_found(name: str) -> None:
    assert CORRUPTIONS[name][0] in _rules(judge, name)


def _without(place: int) -> types.ModuleType:
    """The checker with one of its findings taken out."""
    starts = [match.start() for match in re.finditer(r"self\._say\(", SOURCE)]
    source = SOURCE[: starts[place]] + "print(" + SOURCE[starts[place] + len("self._say(") :]
    module = types.ModuleType("checker_without_one")
    module.__dict__["__name__"] = checker.__name__
    exec(compile(source, checker.__file__, "exec"), module.__dict__)  # noqa: S102 - our own file with one line less
    return module


@pytest.mark.parametrize("place", range(SOURCE.count("self._say(")))
def test_no_finding_can_be_left_out(place: int) -> None:
    mutated = _without(place)
    assert any(expected not in _rules(mutated.judge, name) for name, (expected, *_) in CORRUPTIONS.items())
