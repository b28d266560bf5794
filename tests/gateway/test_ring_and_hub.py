"""Recent events in memory, and who hears of what."""

from collections.abc import Callable

import pytest

from gateway.streams.events import Event, Pulse
from gateway.streams.hub import Hub, job_topic, tenant_topic
from gateway.streams.ring import Ring
from tests.gateway.events import event, pulse


class Listener:
    def __init__(self, partition: str = "00", *, broken: bool = False) -> None:
        self.partition = partition
        self.heard: list[Event | Pulse] = []
        self.broken = broken
        self.lost = 0
        self.aborted = False

    def event(self, event: Event, /) -> None:
        self._hear(event)

    def pulse(self, pulse: Pulse, /) -> None:
        self._hear(pulse)

    def _hear(self, item: Event | Pulse) -> None:
        if self.broken:
            raise RuntimeError("the socket is closed")
        self.heard.append(item)

    def lose(self) -> None:
        self.lost += 1

    def abort(self) -> None:
        self.aborted = True


def test_the_ring_continues_a_cursor_it_holds() -> None:
    ring = Ring(100, 1 << 20)
    for rev in range(1, 6):
        ring.append(event(rev))
        ring.append(event(rev, job="j00-b"))
    found = ring.since("j00-a", "e1", "1003-0")
    assert found is not None
    assert (found[0].rev, [one.rev for one in found[1]]) == (3, [4, 5])
    assert ring.since("j00-a", "e0", "1003-0") is None, "another epoch"
    assert ring.since("j00-a", "e1", "999-0") is None
    assert ring.since("j00-c", "e1", "1003-0") is None


def test_the_ring_is_bounded_by_number_and_by_size() -> None:
    ring = Ring(10, 1 << 20)
    for rev in range(1, 50):
        ring.append(event(rev))
    assert len(ring) == 10
    assert ring.since("j00-a", "e1", "1039-0") is None
    assert ring.since("j00-a", "e1", "1040-0") is not None

    small = Ring(1000, 20_000)
    for rev in range(1, 200):
        small.append(event(rev, data=b'"' + b"x" * 1000 + b'"'))
    assert small.size_bytes <= 20_000
    assert len(small) < 10


def test_the_ring_forgets_jobs_that_have_left_it() -> None:
    ring = Ring(5, 1 << 20)
    ring.append(event(1, job="j00-old"))
    ring.note(pulse(1, 5.0, job="j00-old"))
    ring.note(pulse(1, 5.0, job="j00-never-seen"))
    assert ring.pulse("j00-old") is not None
    assert ring.pulse("j00-never-seen") is None
    for rev in range(1, 6):
        ring.append(event(rev))
    assert ring.pulse("j00-old") is None
    ring.clear()
    assert len(ring) == 0
    assert ring.size_bytes == 0
    assert ring.since("j00-a", "e1", "1005-0") is None
    assert ring.newest("default") is None
    assert ring.of_tenant_since("default", "e1", "1005-0", 10) is None


def test_the_ring_keeps_no_progress_that_an_event_has_overtaken() -> None:
    ring = Ring(5, 1 << 20)
    ring.append(event(1))
    assert ring.note(pulse(1, 5.0))
    ring.append(event(2))
    assert ring.pulse("j00-a") is None


def test_a_topic_is_heard_by_its_watchers_alone() -> None:
    hub = Hub({"00": Ring(10, 10_000), "01": Ring(10, 10_000)})
    first, second, other = Listener(), Listener(), Listener("01")
    for listener, job in ((first, "j00-a"), (second, "j00-a"), (other, "j01-b")):
        hub.watch(job_topic(job), listener)
    hub.event(event(1))
    hub.pulse(pulse(1, 5.0))
    assert len(first.heard) == len(second.heard) == 2
    assert not other.heard
    hub.lose("00")
    assert (first.lost, second.lost, other.lost) == (1, 1, 0)
    hub.forget(job_topic("j00-a"), first)
    hub.forget(job_topic("j00-a"), first)
    hub.event(event(2))
    assert len(first.heard) == 2
    assert len(second.heard) == 3
    assert hub.watchers() == 2


@pytest.mark.parametrize("tell", [lambda hub: hub.event(event(1)), lambda hub: hub.pulse(pulse(1, 5.0))])
def test_a_broken_watcher_does_not_keep_the_others_from_hearing(tell: Callable[[Hub], None]) -> None:
    hub = Hub({"00": Ring(10, 10_000)})
    watchers = [Listener(), Listener(broken=True), Listener()]
    for watcher in watchers:
        hub.watch(job_topic("j00-a"), watcher)
    tell(hub)
    assert [len(watcher.heard) for watcher in watchers] == [1, 0, 1]
    assert [watcher.aborted for watcher in watchers] == [False, True, False]


def test_a_hole_empties_the_ring_of_its_partition() -> None:
    """What comes after it does not continue what came before, so memory must not say that it does."""
    hub = Hub({"00": Ring(10, 10_000), "01": Ring(10, 10_000)})
    hub.event(event(1))
    hub.event(event(1, job="j01-b", partition="01"))
    hub.lose("00")
    assert hub.ring("00").since("j00-a", "e1", "1001-0") is None
    assert hub.ring("01").since("j01-b", "e1", "1001-0") is not None


def test_the_ring_continues_a_tenant_behind_one_of_its_own_events() -> None:
    ring = Ring(100, 1 << 20)
    for rev in range(1, 7):
        ring.append(event(rev, tenant="odd" if rev % 2 else "even"))
    rest = ring.of_tenant_since("odd", "e1", "1001-0", 10)
    assert rest is not None
    assert [one.rev for one in rest] == [3, 5]
    assert [one.rev for one in ring.of_tenant_since("odd", "e1", "1001-0", 1) or ()] == [3]
    assert ring.of_tenant_since("odd", "e1", "1005-0", 10) == ()
    assert ring.of_tenant_since("odd", "e1", "1002-0", 10) is None, "another tenant's event"
    assert ring.of_tenant_since("odd", "e0", "1001-0", 10) is None, "another epoch"
    assert ring.of_tenant_since("odd", "e1", "999-0", 10) is None
    assert ring.of_tenant_since("none", "e1", "1001-0", 10) is None
    newest = ring.newest("even")
    assert newest is not None
    assert newest.rev == 6
    assert ring.newest("none") is None
    for rev in range(7, 200):
        ring.append(event(rev, tenant="even"))
    assert ring.newest("odd") is None, "it has left the window"


def test_progress_that_an_event_has_overtaken_reaches_nobody() -> None:
    hub = Hub({"00": Ring(10, 10_000)})
    one, all_of_them = Listener(), Listener()
    hub.watch(job_topic("j00-a"), one)
    hub.watch(tenant_topic("default"), all_of_them)
    hub.event(event(2))
    hub.pulse(pulse(1, 90.0))
    hub.pulse(pulse(2, 95.0))
    hub.event(event(3, "job.completed"))
    hub.pulse(pulse(3, 99.0))
    for listener in (one, all_of_them):
        assert [item.rev for item in listener.heard] == [2, 2, 3]
        assert isinstance(listener.heard[1], Pulse)
