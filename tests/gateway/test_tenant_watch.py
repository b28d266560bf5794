"""What a watcher of a tenant is shown, and in which order."""

from gateway.streams.held import HELD_EVENTS
from gateway.streams.tenant_channel import CATCH_UP_BYTES, _piece
from gateway.streams.tenant_watch import HELD_PULSES, Mark, TenantWatch
from tests.gateway.events import event, pulse


def all_jobs(_job: str) -> bool:
    return True


def open_watch(entry: str = "0-1") -> TenantWatch:
    watch = TenantWatch(all_jobs)
    watch.resume("e1", entry)
    watch.release()
    return watch


def test_it_holds_until_it_is_released_and_then_shows_each_event_once() -> None:
    watch = TenantWatch(all_jobs)
    first, second = event(1), event(2)
    assert not watch.event(first)
    assert not watch.event(second)
    watch.resume("e1", "0-1")
    assert list(watch.release()) == [first, second]
    assert not watch.event(second), "an entry that was passed comes again"
    third = event(3)
    assert list(watch.event(third)) == [third]
    assert watch.entry == third.entry


def test_entries_are_compared_as_numbers() -> None:
    watch = open_watch("999-9")
    later = event(1)  # entry 1001-0, which is smaller than 999-9 as text
    assert list(watch.event(later)) == [later]


def test_what_a_snapshot_has_shown_is_not_shown_again() -> None:
    watch = TenantWatch(all_jobs)
    watch.begin_reading()
    for number in range(1, 4):
        watch.event(event(number))
    watch.pulse(pulse(2, 40.0))
    # The snapshot was read after the second event had happened, the third came after it.
    watch.show("e1", "0-1", {"j00-a": Mark(2, 50.0, 10**15)})
    assert [one.rev for one in watch.release()] == [3]
    assert [one.rev for one in watch.pulse(pulse(3, 60.0))] == [3], "newer than the snapshot by its event"


def test_progress_older_than_the_snapshot_is_dropped() -> None:
    watch = TenantWatch(all_jobs)
    watch.begin_reading()
    watch.show("e1", "0-1", {"j00-a": Mark(2, 50.0, 0)})
    watch.release()
    assert not watch.pulse(pulse(2, 49.0))
    assert not watch.pulse(pulse(1, 60.0))
    assert watch.pulse(pulse(2, 50.0)), "what stands still at a percent may say more"
    assert watch.pulse(pulse(2, 51.0))
    watch.show("e1", "0-1", {"j00-a": Mark(2, 50.0, 2000)})
    assert not watch.pulse(pulse(2, 51.0, 1999)), "reported before the job was read"


def test_held_progress_older_than_the_snapshot_is_dropped() -> None:
    watch = TenantWatch(all_jobs)
    watch.pulse(pulse(2, 40.0))
    watch.show("e1", "0-1", {"j00-a": Mark(2, 50.0, 0)})
    assert not watch.release()


def test_held_progress_is_not_shown_after_an_event_that_the_client_had_seen_before() -> None:
    watch = TenantWatch(all_jobs)
    watch.pulse(pulse(1, 40.0))
    seen = event(2)
    watch.event(seen)
    watch.resume("e1", seen.entry)
    assert not watch.release()


def test_who_continues_at_a_cursor_is_not_held_to_an_older_snapshot() -> None:
    """An older job may have come back."""
    watch = TenantWatch(all_jobs)
    watch.show("e1", "0-1", {"j00-a": Mark(5, 50.0, 0)})
    watch.resume("e1", "0-1")
    watch.release()
    assert [one.rev for one in watch.event(event(2))] == [2]


def test_a_terminal_event_that_the_snapshot_includes_is_not_repeated() -> None:
    watch = TenantWatch(all_jobs)
    watch.begin_reading()
    watch.event(event(5, "job.completed"))
    watch.show("e1", "0-1", {"j00-a": Mark(5, 100.0, 0)})
    assert not watch.release()
    again = event(6, "job.replayed")
    assert list(watch.event(again)) == [again]


def test_held_progress_is_the_newest_of_each_job_and_none_that_an_event_overtook() -> None:
    watch = open_watch()
    watch.hold()
    for percent in range(10):
        watch.pulse(pulse(1, float(percent), job="j00-a"))
        watch.pulse(pulse(1, float(percent), job="j00-b"))
    watch.event(event(2, job="j00-b"))
    shown = watch.release()
    assert [(type(one).__name__, one.job) for one in shown] == [("Event", "j00-b"), ("Pulse", "j00-a")]
    assert shown[1].percent == 9.0  # type: ignore[union-attr]
    watch.hold()
    watch.event(event(3, job="j00-b"))
    watch.pulse(pulse(3, 10.0, job="j00-b"))
    assert [type(one).__name__ for one in watch.release()] == ["Event", "Pulse"], "made after the event"


def test_what_is_held_is_bounded() -> None:
    watch = open_watch()
    watch.hold()
    for number in range(HELD_PULSES + 10):
        watch.pulse(pulse(1, 1.0, job=f"j00-{number}"))
    assert len(watch.release()) == HELD_PULSES
    watch.hold()
    for rev in range(1, HELD_EVENTS + 1):
        watch.event(event(rev))
    assert not watch.must_read
    watch.event(event(HELD_EVENTS + 1))
    assert watch.must_read
    watch.begin_reading()
    assert not watch.release(), "what was held is in what is read"


def test_a_job_that_is_not_known_holds_up_everything_behind_it() -> None:
    known: dict[str, bool] = {"j00-yes": True, "j00-no": False}
    watch = TenantWatch(known.get)
    watch.resume("e1", "0-1")
    watch.release()
    yes, no = event(1, job="j00-yes"), event(2, job="j00-no")
    assert list(watch.event(yes)) == [yes]
    assert not watch.event(no)
    new, after, newer = event(3, job="j00-new"), event(4, job="j00-yes"), event(5, job="j00-newer")
    for one in (new, after, newer):
        assert not watch.event(one)
    assert watch.unknown == "j00-new"
    known["j00-new"] = True
    assert list(watch.release()) == [new, after]
    assert watch.unknown == "j00-newer"
    known["j00-newer"] = False
    assert not watch.release()
    assert watch.unknown is None
    assert watch.entry == newer.entry


def test_progress_does_not_overtake_an_event_that_waits_for_an_unknown_job() -> None:
    known: dict[str, bool] = {"j00-yes": True}
    watch = TenantWatch(known.get)
    watch.resume("e1", "0-1")
    new, yes, progress = event(1, job="j00-new"), event(2, job="j00-yes"), pulse(2, 5.0, job="j00-yes")
    watch.event(new)
    watch.event(yes)
    watch.pulse(progress)
    assert not watch.release()
    known["j00-new"] = True
    assert list(watch.release()) == [new, yes, progress]


def test_what_was_held_before_a_hole_is_forgotten() -> None:
    watch = TenantWatch({"j00-yes": True}.get)
    watch.resume("e1", "0-1")
    watch.release()
    watch.event(event(1, job="j00-new"))
    watch.pulse(pulse(2, 5.0, job="j00-yes"))
    watch.lose()
    assert [watch.unknown, watch.must_read, watch.lost] == ["j00-new", True, True]
    watch.begin_reading()
    assert [watch.unknown, watch.must_read, watch.lost] == [None, False, False]
    watch.show("e2", "0-1", {})
    assert not watch.release()


def test_nothing_that_was_held_is_shown_behind_a_hole() -> None:
    watch = TenantWatch(all_jobs)
    watch.event(event(1))
    watch.pulse(pulse(1, 5.0))
    watch.resume("e1", "0-1")
    watch.lose()
    assert not watch.release()


def test_a_part_of_what_was_missed_has_at_least_one_event_however_large() -> None:
    large = event(1, data=b'"' + b"x" * CATCH_UP_BYTES + b'"')
    assert _piece([large]) == [large]
    assert _piece([large, event(2)]) == [large]


def test_a_hole_is_told() -> None:
    watch = open_watch()
    watch.lose()
    assert watch.must_read
    assert watch.lost
    assert not watch.event(event(1))
    assert not watch.pulse(pulse(1, 1.0))
