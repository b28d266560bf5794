"""How a stream begins, from one reading of the job."""

import json
from typing import Any

import pytest

from actors.kernel.views import JobView, view
from gateway.streams.channel import Opening
from gateway.streams.cursor import parse_cursor
from gateway.streams.events import NO_EPOCH, Event, Pulse, Snapshot
from gateway.streams.opening import continuation, open_from_reading, snapshot
from gateway.streams.reader import Reading
from gateway.streams.watch import JobWatch
from tests.gateway.events import event

WHY = {"code": "PARTS", "message": "2 of 3 parts are done."}
RETENTION_S = 60.0


def a_view(**fields: str) -> JobView:
    """At revision 3, with progress."""
    known = {
        "state": "waiting", "stage": "store", "lane": "cpu", "priority": "normal", "tenant": "default",
        "kind": "media", "listed": "1", "rev": "3", "last_event": "1003-0", "percent": "40.5",
        "spec": '{"source":"https://a.example/x","format":"mp3"}', "input": "{}", "refs": "[]", "progress": "{}",
        "deadline": "9000000", "created_at": "1000", "updated_at": "1003",
    }  # fmt: skip
    return view("j00-a", {name: value.encode() for name, value in (known | fields).items()})


def shown(item: Any) -> Any:
    return json.loads(item.envelope)


@pytest.mark.parametrize("rest", [(event(3),), ()], ids=["behind", "up to date"])
def test_who_continues_from_the_log_is_told_where_progress_stands_and_why_the_job_waits(
    rest: tuple[Event, ...],
) -> None:
    watch = JobWatch()
    *events, progress = continuation(a_view(reason=json.dumps(WHY)), rest, watch)
    assert tuple(events) == rest
    assert isinstance(progress, Pulse)
    assert shown(progress)["rev"] == 3
    assert shown(progress)["data"]["progress"]["percent"] == 40.5
    assert shown(progress)["data"]["reason"]["message"] == WHY["message"]
    assert (watch.rev, watch.percent, watch.progress_at_ms, watch.ended) == (3, 40.5, 1003, False)
    _, progress = continuation(a_view(), (event(3),), JobWatch())
    assert shown(progress)["data"]["reason"] is None


def test_who_continues_to_the_end_of_a_job_is_shown_no_progress_behind_it() -> None:
    watch = JobWatch()
    end = event(3, "job.cancelled")
    assert continuation(a_view(state="cancelled"), (end,), watch) == [end]
    assert watch.end_state == "cancelled"


def test_the_cursor_of_a_snapshot_whose_feed_is_lost_is_that_of_no_feed() -> None:
    job, log = a_view(), (event(3),)
    (first,) = snapshot("snapshot", job, Reading(job, log, None), JobWatch(), RETENTION_S)
    assert isinstance(first, Snapshot)
    assert first.id == f"{NO_EPOCH}.1003-0"
    cursor = parse_cursor(first.id)
    for epoch in (None, "e1"):
        opening = open_from_reading(cursor, job, Reading(job, log, epoch), JobWatch(), RETENTION_S)
        assert isinstance(opening, Opening)
        assert [item.type for item in opening.items] == ["resync"]
