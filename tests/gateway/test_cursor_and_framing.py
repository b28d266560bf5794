"""Event ids that clients send back, and the text of the stream."""

import json

import pytest

from gateway.streams.cursor import BadCursor, Cursor, events_after, events_since, parse_cursor
from gateway.streams.events import event_data, read_pulse
from gateway.streams.framing import chunk, content, frame, frame_chunk, prime
from tests.gateway.events import event, pulse

LOG = [event(rev) for rev in range(3, 9)]


def test_cursors_are_read() -> None:
    assert parse_cursor(None) is None
    assert parse_cursor("") is None
    assert parse_cursor("18f2a.1790000000123-0") == Cursor("18f2a", "1790000000123-0")
    assert parse_cursor("18f2a.0-0") is None, "the primed id of a client that has seen nothing"
    assert str(parse_cursor("18f2a.17-3")) == "18f2a.17-3"


@pytest.mark.parametrize("text", ["x", "1-1", ".1-1", "a.b.1-1", "a.1", "a.-1", "A.1-1", "a.1-1 ", "a.٣-٤", "9" * 5000])
def test_what_is_no_cursor_is_known_as_that(text: str) -> None:
    assert parse_cursor(text) == BadCursor()


def test_a_cursor_is_continued_only_where_nothing_is_missing() -> None:
    def after(entry: str, *, epoch: str = "e1", rev: int = 8, log: object = LOG) -> list[int] | None:
        rest = events_after(Cursor(epoch, entry), "e1", log, rev)  # type: ignore[arg-type]
        return None if rest is None else [one.rev for one in rest]

    assert after("1005-0") == [6, 7, 8]
    assert after("1008-0") == []
    assert after("1002-0") is None, "its entry was trimmed"
    assert after("1005-1") is None, "near is not there"
    assert after("1005-0", epoch="e0") is None
    assert after("1005-0", rev=9) is None, "the log is shorter than the job"
    assert after("1005-0", log=[one for one in LOG if one.rev != 7]) is None, "the log has a hole"
    assert after("1005-0", log=[]) is None
    assert events_after(Cursor("0", "1005-0"), None, LOG, 8) is None, "a feed without an epoch proves nothing"


def test_a_watcher_is_brought_up_to_date_by_revision() -> None:
    assert [one.rev for one in events_since(5, LOG, 8) or ()] == [6, 7, 8]
    assert events_since(8, LOG, 8) == []
    assert events_since(1, LOG, 8) is None
    assert events_since(9, LOG, 8) == [], "what the watcher knows is newer than the reading"


def test_a_hole_is_found_although_the_log_reaches_far_enough() -> None:
    """The log was read after the job and may be longer: its length does not show that one is missing."""
    assert events_since(5, [event(6), event(8), event(9)], 8) is None


def test_frames() -> None:
    assert frame("end", b"{}") == b"event: end\ndata: {}\n\n"
    assert frame("job.stage", b"{}", "e.1-0") == b"id: e.1-0\nevent: job.stage\ndata: {}\n\n"
    assert prime(1234, "e.0-0") == b"retry: 1234\nid: e.0-0\n\n"
    assert chunk(b"abc") == b"3\r\nabc\r\n"
    assert chunk(b"x" * 300).startswith(b"12c\r\n")
    for data in (b"{}", b"x" * 300):
        for identity in (None, "e.1-0"):
            framed = frame("job.stage", data, identity)
            assert frame_chunk("job.stage", data, identity) == chunk(framed)
            assert content(chunk(framed)) == framed


def test_an_event_is_one_line_and_serialised_once() -> None:
    one = event(3, data=b'{"a":\n  [1,\r\n 2]}')
    framed = one.frame(chunked=False)
    assert one.frame(chunked=True) is one.frame(chunked=True)
    assert one.envelope is one.envelope
    lines = framed.decode().split("\n")
    assert lines[0] == "id: e1.1003-0"
    assert lines[1] == "event: job.stage"
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: "))["data"] == {"a": [1, 2]}
    assert one.frame(chunked=True) == chunk(framed)


def test_progress_has_no_id() -> None:
    framed = pulse(3, 12.5).frame(chunked=False).decode()
    assert not framed.startswith("id:")
    assert '"id":null' in framed
    assert '"percent":12.5' in framed


def test_progress_is_read_by_its_names() -> None:
    said = {b"job": b"j00-a", b"tenant": b"t", b"rev": b"3", b"at": b"7", b"percent": b"1.5", b"progress": b"{}"}
    said |= {b"reason": b""}
    read = read_pulse("00", [each for pair in said.items() for each in pair])
    assert (read.job, read.tenant, read.rev, read.at_ms, read.percent) == ("j00-a", "t", 3, 7, 1.5)
    more = dict(reversed([*said.items(), (b"new", b"x")]))
    assert read_pulse("00", [each for pair in more.items() for each in pair]) == read
    with pytest.raises(KeyError):
        read_pulse("00", [each for pair in list(said.items())[1:] for each in pair])


def test_event_data_for_clients() -> None:
    outputs = b'{"outputs":[{"name":"a b.mp3","type":"audio/mpeg","size_bytes":1,"sha256":"00"}]}'
    shown = json.loads(event_data("job.completed", "j00-a", outputs))
    assert shown["outputs"][0]["url"] == "/v1/jobs/j00-a/outputs/a%20b.mp3"
    reason = json.loads(event_data("job.retrying", "j00-a", b'{"reason":{"code":"X","message":"m","until_ms":0}}'))
    assert reason["reason"] == {"code": "X", "message": "m", "until": "1970-01-01T00:00:00.000Z"}
    assert event_data("job.completed", "j00-a", b"{}") == b"{}"
    assert event_data("job.started", "j00-a", b'{"stage":"fetch"}') == b'{"stage":"fetch"}'
