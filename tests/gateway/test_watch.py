"""What a watcher is shown: every event once and in order, or the word that it must read again."""

import random

import pytest

from gateway.streams.events import Event, Pulse
from gateway.streams.held import HELD_BYTES, HELD_EVENTS
from gateway.streams.watch import JobWatch
from tests.gateway.events import event, pulse


def watch_at(rev: int, percent: float = 0.0, at_ms: int = 0) -> JobWatch:
    watch = JobWatch()
    watch.show(rev, percent, at_ms, None)
    assert list(watch.release()) == []
    return watch


def revs(shown: object) -> list[int]:
    return [item.rev for item in shown if isinstance(item, Event)]  # type: ignore[attr-defined]


def test_an_event_between_registration_and_snapshot_is_shown_once() -> None:
    watch = JobWatch()
    # The reading saw revision 3; the tail brings 2 (older), 3 (in the snapshot) and 4 (news).
    for rev in (2, 3, 4):
        assert not watch.event(event(rev))
    watch.show(3, 10.0, 1003, None)
    assert revs(watch.release()) == [4]
    assert revs(watch.event(event(4))) == []
    assert revs(watch.event(event(5))) == [5]


def test_a_gap_is_never_shown_as_if_it_were_none() -> None:
    watch = watch_at(3)
    assert revs(watch.event(event(5))) == []
    assert watch.must_read
    assert not watch.lost
    assert revs(watch.event(event(6))) == []
    watch.begin_reading()
    assert not watch.must_read
    watch.event(event(7))
    watch.show(6, 0.0, 0, None)
    assert revs(watch.release()) == [7]


def test_a_gap_within_what_was_held_is_found() -> None:
    watch = JobWatch()
    for rev in (4, 6):
        watch.event(event(rev))
    watch.show(3, 0.0, 0, None)
    assert revs(watch.release()) == [4]
    assert watch.must_read


def test_too_much_to_hold_means_reading_again() -> None:
    watch = JobWatch()
    for rev in range(1, HELD_EVENTS + 2):
        watch.event(event(rev))
    assert watch.must_read


def test_a_few_large_events_are_too_much_to_hold_as_well() -> None:
    watch = JobWatch()
    large = b'"' + b"x" * 40_000 + b'"'
    for rev in range(1, HELD_BYTES // len(large) + 1):
        watch.event(event(rev, data=large))
        assert not watch.must_read
    watch.event(event(9, data=large))
    assert watch.must_read
    assert list(watch._held.take()) == [], "nothing is kept that will be read"
    assert list(watch.release()) == [], "nothing is shown in part"


def test_what_was_held_and_shown_takes_no_room_any_more() -> None:
    watch = watch_at(0)
    large = b'"' + b"x" * (HELD_BYTES // 2) + b'"'
    for rev in range(1, 6):
        watch.hold()
        watch.event(event(rev, data=large))
        assert revs(watch.release()) == [rev]


def test_a_lost_tail_is_told_even_while_reading() -> None:
    watch = JobWatch()
    watch.lose()
    watch.show(3, 0.0, 0, None)
    assert list(watch.release()) == []
    assert watch.must_read
    assert watch.lost


def test_what_fits_after_a_hole_is_not_shown_before_the_job_was_read() -> None:
    """It may be another feed's, or follow what only the job itself can tell now."""
    watch = watch_at(3)
    watch.lose()
    assert not watch.event(event(4))
    watch = JobWatch()
    watch.event(event(4))
    watch.lose()
    watch.show(3, 0.0, 0, None)
    assert not watch.release()
    watch.begin_reading()
    assert not watch.lost
    watch.show(4, 0.0, 0, None)
    assert not watch.release()
    assert revs(watch.event(event(5))) == [5]


def test_what_was_held_before_a_hole_is_forgotten() -> None:
    watch = JobWatch()
    watch.event(event(4))
    watch.pulse(pulse(3, 20.0))
    watch.lose()
    watch.begin_reading()
    watch.show(3, 0.0, 0, None)
    assert not watch.release()
    watch = JobWatch()
    watch.pulse(pulse(3, 20.0))
    watch.lose()
    watch.show(3, 0.0, 0, None)
    assert not watch.release(), "nor is it shown while the job must be read"


def test_progress_from_before_a_hole_is_forgotten() -> None:
    """An older job may have come back, which will see this revision another time."""
    watch = watch_at(3)
    assert not watch.pulse(pulse(5, 90.0))
    watch.lose()
    watch.begin_reading()
    watch.show(3, 0.0, 0, None)
    assert not watch.release()
    assert [type(item) for rev in (4, 5) for item in watch.event(event(rev))] == [Event, Event]


def test_nothing_follows_the_end() -> None:
    watch = watch_at(3, 50.0)
    shown = watch.event(event(4, "job.completed"))
    assert revs(shown) == [4]
    assert watch.end_state == "completed"
    assert not watch.event(event(5))
    assert not watch.pulse(pulse(4, 60.0))
    assert not watch.resume(pulse(4, 60.0))


def test_nothing_that_was_held_follows_the_end() -> None:
    watch = JobWatch()
    watch.event(event(4, "job.completed"))
    watch.event(event(5))
    watch.show(3, 0.0, 0, None)
    assert revs(watch.release()) == [4]


def test_progress_older_than_what_was_shown_is_dropped() -> None:
    watch = watch_at(3, 50.0, 1500)
    assert not watch.pulse(pulse(2, 90.0, 1600)), "made under an earlier revision"
    assert not watch.pulse(pulse(3, 49.0, 1600)), "percent would fall"
    assert not watch.pulse(pulse(3, 60.0, 1400)), "reported before the snapshot"
    assert len(watch.pulse(pulse(3, 60.0, 1600))) == 1
    assert not watch.pulse(pulse(3, 59.0, 1700))
    assert not watch.pulse(pulse(3, 61.0, 1500)), "reported before what was shown"
    assert len(watch.pulse(pulse(3, 60.0, 1800))) == 1, "what stands still at a percent may say more"


def test_progress_from_memory_is_shown_where_it_belongs() -> None:
    watch = watch_at(3, 50.0)
    assert not watch.resume(pulse(2, 60.0))
    assert not watch.resume(pulse(4, 60.0))
    assert len(watch.resume(pulse(3, 60.0))) == 1


def test_progress_waits_for_the_event_it_follows() -> None:
    watch = watch_at(3)
    assert not watch.pulse(pulse(4, 40.0))
    shown = watch.event(event(4))
    assert [type(item) for item in shown] == [Event, Pulse]


def test_held_progress_is_the_newest_only() -> None:
    watch = JobWatch()
    watch.pulse(pulse(3, 10.0))
    watch.pulse(pulse(3, 20.0))
    watch.show(3, 5.0, 0, None)
    shown = watch.release()
    assert [item.percent for item in shown if isinstance(item, Pulse)] == [20.0]
    watch.hold()
    assert not watch.release(), "and it is shown once"


@pytest.mark.parametrize("kind", ["job.stage", "job.completed"])
def test_held_progress_does_not_follow_an_event_that_has_overtaken_it(kind: str) -> None:
    watch = JobWatch()
    watch.pulse(pulse(3, 20.0))
    watch.event(event(4, kind))
    watch.show(3, 5.0, 0, None)
    assert [type(item) for item in watch.release()] == [Event]
    watch = JobWatch()
    watch.pulse(pulse(4, 99.0))
    watch.event(event(4, kind))
    watch.show(3, 5.0, 0, None)
    assert len(watch.release()) == (1 if kind == "job.completed" else 2)


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_are_shown_whole_and_in_order(seed: int) -> None:
    """A job of 60 events; the watch registers, falls behind, loses its tail and reads again at random."""
    draw = random.Random(seed)
    watch = JobWatch()
    seen: list[int] = []
    percents: list[float] = []
    last, percent, read_at, ended = 0, 0.0, None, False

    def note(shown: object) -> None:
        for item in shown:  # type: ignore[attr-defined]
            (seen if isinstance(item, Event) else percents).append(
                item.rev if isinstance(item, Event) else item.percent
            )

    def read() -> None:
        note_from = watch.rev
        watch.show(last, percent, 0, "completed" if ended else None)
        seen.extend(range(note_from + 1, last + 1))
        percents.append(percent)
        note(watch.release())

    while not watch.ended:
        move = draw.random()
        if watch.must_read and move < 0.5:
            watch.begin_reading()
            read_at = last
        elif watch.holding and move < 0.3:
            read()
        elif move < 0.6 and not ended:
            last += 1
            ended = last == 60
            delivered = event(last, "job.completed" if ended else "job.stage")
            # One in twenty is lost on the way; the next one, or the pump, tells.
            if draw.random() > 0.05:
                note(watch.event(delivered))
            else:
                watch.lose()
        elif move < 0.8 and not ended:
            percent = min(100.0, percent + draw.random())
            note(watch.pulse(pulse(last, percent, 0)))
        elif move < 0.85:
            watch.hold()
        elif move < 0.9 and watch.holding and not watch.must_read:
            note(watch.release()) if read_at is not None else read()
    assert seen == list(range(1, 61))
    assert percents == sorted(percents)
