"""The checker of streams of many jobs notices each thing that can be wrong, and every rule of it is needed."""

import copy
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watchers import tenant_checker
from tests.watchers.checker import Allowed, Kept, Logged
from tests.watchers.frames import Frame
from tests.watchers.story import Connected, Item, Left, Story
from tests.watchers.tenant_checker import judge_tenant

A, B = "j00-a", "j00-b"
STRICT = Allowed()
LOSSY = Allowed(resync=True)
LOGS: dict[str, Kept] = {
    A: {
        1: Logged("job.queued", "1001-0", 1001),
        2: Logged("job.started", "1003-0", 1003),
        3: Logged("job.stage", "1005-0", 1005),
        4: Logged("job.completed", "1007-0", 1007),
    },
    B: {
        1: Logged("job.queued", "1002-0", 1002),
        2: Logged("job.started", "1004-0", 1004),
        3: Logged("job.failed", "1006-0", 1006),
    },
}
SOURCE = Path(tenant_checker.__file__).read_text("utf-8")


def time(ms: int) -> str:
    return f"1970-01-01T00:00:{ms / 1000:06.3f}Z"


def event(job: str, number: int, **changes: Any) -> Frame:
    logged = LOGS[job][number]
    identity = changes.pop("id", f"e1.{logged.entry}")
    fields = {"id": identity, "type": logged.type, "job": job, "rev": number, "at": time(logged.at_ms), "data": {}}
    return Frame(logged.type, identity, None, fields | changes)


def progress(job: str, rev: int, percent: float, identity: str | None = None) -> Frame:
    data = {"progress": {"percent": percent}}
    fields = {"id": identity, "type": "job.progress", "job": job, "rev": rev, "at": time(1), "data": data}
    return Frame("job.progress", identity, None, fields)


def document(job: str, updated_ms: int, percent: float = 0.0, state: str = "running") -> dict[str, Any]:
    rev = max(number for number, logged in LOGS[job].items() if logged.at_ms <= updated_ms)
    return {"id": job, "rev": rev, "state": state, "progress": {"percent": percent}, "updated_at": time(updated_ms)}


def whole(kind: str, identity: str, *documents: dict[str, Any]) -> Frame:
    fields = {"id": identity, "type": kind, "job": None, "rev": None, "at": "T", "data": {"jobs": list(documents)}}
    return Frame(kind, identity, None, fields)


def prime(cursor: str = "e1.0-0") -> Frame:
    return Frame("", cursor, 3000)


GOOD = Story("w1", "", [
    Connected(None, "stream"),
    prime(),  # 1
    whole("snapshot", "e1.1002-0", document(A, 1001), document(B, 1005)),  # 2: B is further than its place
    event(A, 2),  # 3
    progress(A, 2, 20.0),  # 4
    Frame("heartbeat", data={"at": "T"}),
    Connected("e1.1003-0", "stream"),  # 6
    prime("e1.1003-0"),  # 7
    event(A, 3),  # 8
    event(B, 3),  # 9
    progress(A, 3, 30.0),  # 10
    event(A, 4),  # 11
])  # fmt: skip
SOCKET = Story("w1", "", [Connected(None, "stream", primed=False), *GOOD.items[2:6],
    Connected("e1.1003-0", "stream", primed=False), *GOOD.items[8:]])  # fmt: skip
# Cut off behind a snapshot that held B's end already.
AGAIN = Story("w1", "", [
    Connected(None, "stream"),
    prime(),
    whole("snapshot", "e1.1002-0", document(A, 1001), document(B, 1006, 10.0, "failed")),  # 2
    Connected("e1.1002-0", "stream"),
    prime("e1.1002-0"),
    *(event(job, rev) for job, rev in ((A, 2), (B, 2), (A, 3), (B, 3), (A, 4))),  # 5 to 9
])  # fmt: skip
RESYNCED = Story("w1", "", [*GOOD.items[:6],
    whole("resync", "e1.1006-0", document(A, 1005, 25.0), document(B, 1006, 10.0, "failed")),  # 6
    event(A, 4),
])  # fmt: skip


def test_a_true_story_is_no_fault() -> None:
    ordered = [*GOOD.items[:9], *GOOD.items[10:11], GOOD.items[9], *GOOD.items[11:]]
    assert judge_tenant(Story("w1", "", ordered), (A, B), LOGS, STRICT) == []
    assert judge_tenant(SOCKET, (A, B), LOGS, STRICT) == []
    assert judge_tenant(AGAIN, (A, B), LOGS, STRICT) == []
    between = [*AGAIN.items[:3], event(A, 2), Connected("e1.1003-0", "stream"), prime("e1.1003-0"), *AGAIN.items[6:]]
    assert judge_tenant(Story("w1", "", between), (A, B), LOGS, STRICT) == []
    assert judge_tenant(RESYNCED, (A, B), LOGS, LOSSY) == []
    assert judge_tenant(Story("w1", "", [*GOOD.items[:5], Left()]), (A, B), LOGS, STRICT) == []


def test_progress_may_be_undone_without_an_event_and_then_nobody_can_tell() -> None:
    items = [*GOOD.items[:4], progress(A, 2, 20.0), Connected("e1.1003-0", "stream"), prime("e1.1003-0")]
    changed = Story("w1", "", [*items, progress(A, 2, 9.0), *GOOD.items[8:10], *GOOD.items[11:]])
    assert judge_tenant(changed, (A, B), LOGS, Allowed(undone_ms=(1, 2))) == []
    for allowed in (STRICT, Allowed(undone_ms=(0, 0))):
        assert {wrong.rule for wrong in judge_tenant(changed, (A, B), LOGS, allowed)} == {"percent"}


Change = Callable[[list[Item]], object]


def swap(place: int, *items: Item) -> Change:
    return lambda told: told.__setitem__(slice(place, place + 1), items)


def put(place: int, *items: Item) -> Change:
    return lambda told: told.__setitem__(slice(place, place), items)


CORRUPTIONS: dict[str, tuple[str, Story, Allowed, Change]] = {
    "a missing event": ("gap", GOOD, STRICT, swap(8)),
    "a missing first event": ("gap", GOOD, STRICT, lambda told: told.__setitem__(slice(3, 9), [])),
    "an event twice": ("duplicate", GOOD, STRICT, put(9, event(A, 3, id="e1.1005-1"))),
    "a revision that falls with a resync": ("undone", RESYNCED, LOSSY, swap(
        6, whole("resync", "e1.1006-0", document(A, 1001, 25.0), document(B, 1006, 10.0, "failed")))),
    "an event that the snapshot holds": ("duplicate", GOOD, STRICT, swap(3, event(B, 2), event(A, 2))),
    "what the snapshot held, in the same connection": ("after-end", AGAIN, STRICT, lambda told: told.__delitem__(
        slice(3, 5))),
    "an event twice after that": ("after-end", AGAIN, STRICT, put(9, event(B, 3, rev=4, id="e1.1006-5"))),
    "an event after the end of its job": ("after-end", GOOD, STRICT, put(12, event(A, 3, rev=5, id="e1.1008-0"))),
    "progress after the end of its job": ("after-end", GOOD, STRICT, put(12, progress(A, 4, 99.0))),
    "no end of one job": ("unseen", GOOD, STRICT, swap(9)),
    "a job that is not there": ("unseen", RESYNCED, LOSSY, swap(
        6, whole("resync", "e1.1006-0", document(A, 1005, 25.0)))),
    "a cursor that the client was not given": ("cursor", GOOD, STRICT, swap(6, Connected("e1.1002-0", "stream"))),
    "an answer that is no stream": ("cursor", GOOD, STRICT, swap(6, Connected("e1.1003-0", "ended"))),
    "no primed id": ("prime", GOOD, STRICT, swap(1)),
    "a primed id that is not the client's": ("prime", GOOD, STRICT, swap(7, prime("e1.1002-0"))),
    "no snapshot": ("begin", GOOD, STRICT, swap(2)),
    "a snapshot in the middle": ("begin", GOOD, STRICT, put(
        11, whole("snapshot", "e1.1006-0", document(A, 1005, 30.0)))),
    "an envelope of another type": ("envelope", GOOD, STRICT, swap(8, event(A, 3, type="job.x"))),
    "a resync without a cause": ("resync", RESYNCED, STRICT, swap(5)),
    "a percent that falls with a resync": ("undone", RESYNCED, LOSSY, swap(
        6, whole("resync", "e1.1006-0", document(A, 1005, 5.0), document(B, 1006, 0.0, "failed")))),
    "an end that is taken back": ("undone", GOOD, LOSSY, put(
        12, whole("resync", "e1.1007-0", document(A, 1007, 30.0), document(B, 1006, 0.0, "failed")))),
    "progress of another revision": ("progress", GOOD, STRICT, swap(10, progress(A, 4, 30.0))),
    "progress with an id": ("progress", GOOD, STRICT, swap(10, progress(A, 3, 30.0, "e1.1006-1"))),
    "percent that falls": ("percent", GOOD, STRICT, swap(10, progress(A, 3, 10.0))),
    "an id that is none": ("id", GOOD, STRICT, swap(8, event(A, 3, id="1005-0"))),
    "an id that does not rise": ("id", GOOD, STRICT, swap(9, event(B, 3, id="e1.1004-0"))),
    "an event that never was": ("kept", GOOD, STRICT, swap(8, event(A, 3, id="e1.1005-7"))),
}  # fmt: skip


def _rules(judge: Callable[..., list[Any]], name: str) -> set[str]:
    _, base, allowed, change = CORRUPTIONS[name]
    changed = copy.copy(base)
    changed.items = list(base.items)
    change(changed.items)
    return {wrong.rule for wrong in judge(changed, (A, B), LOGS, allowed)}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_story_is_found(name: str) -> None:
    assert CORRUPTIONS[name][0] in _rules(judge_tenant, name)


@pytest.mark.parametrize("place", range(SOURCE.count("self._say(")))
def test_no_finding_can_be_left_out(place: int) -> None:
    starts = [match.start() for match in re.finditer(r"self\._say\(", SOURCE)]
    source = SOURCE[: starts[place]] + "print(" + SOURCE[starts[place] + len("self._say(") :]
    module = types.ModuleType(tenant_checker.__name__)
    exec(compile(source, tenant_checker.__file__, "exec"), module.__dict__)  # noqa: S102 - our own file, one line less
    assert any(expected not in _rules(module.judge_tenant, name) for name, (expected, *_) in CORRUPTIONS.items())
