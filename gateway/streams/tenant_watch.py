"""What one watcher of a tenant's jobs has been shown, and so what it must see next. Pure.

Its place is one in the feed, where all events of a tenant are in one order. As a job's watch it begins holding, and
holds while a snapshot is read and while its socket is behind. A watcher of one tag sees the jobs that carry it; of a
job whose tags are not known here it holds until somebody has looked (`unknown`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.streams.cursor import BEGINNING, place_of
from gateway.streams.events import NO_EPOCH, Event, Pulse
from gateway.streams.held import Held

HELD_PULSES = 256
"""Jobs whose newest progress one watcher may have waiting; of others it shows the next."""

Wants = Callable[[str], bool | None]
"""Whether a job is among those that are watched; None: not known yet."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a job had come in a snapshot: what was on its way then and is older is not shown."""

    rev: int
    percent: float
    at_ms: int


class TenantWatch:
    """The state of one watcher. `epoch` and `entry` are the last event of the feed that it was shown or passed over."""

    __slots__ = ("_held", "_marks", "_pulses", "_wants", "entry", "epoch", "holding", "lost", "must_read", "unknown")

    ended = False
    """Jobs end, their tenant does not."""

    def __init__(self, wants: Wants) -> None:
        self.epoch = NO_EPOCH
        self.entry = BEGINNING
        self.must_read = False
        """Something is missing: only the feed, or the jobs themselves, can say what. Cleared by `begin_reading`."""
        self.lost = False
        """The pump cannot prove that its tail is whole, so the client is told. Cleared by `begin_reading`."""
        self.holding = True
        self.unknown: str | None = None
        """A job about which `wants` must be able to answer before anything else is shown. Cleared by `release`."""
        self._wants = wants
        self._marks: dict[str, Mark] = {}
        self._held = Held()
        self._pulses: dict[str, Pulse] = {}

    def hold(self) -> None:
        """From here on everything is kept back, until `release`."""
        self.holding = True

    def begin_reading(self) -> None:
        """The jobs or the feed are about to be read: what was missing until now will be in it."""
        self.holding = True
        self.must_read = False
        self.lost = False
        self.unknown = None
        self._held.clear()
        self._pulses.clear()

    def lose(self) -> None:
        """The tail has a hole."""
        self.must_read = True
        self.lost = True

    def show(self, epoch: str, entry: str, marks: Mapping[str, Mark]) -> None:
        """A snapshot was shown, whose jobs are at least as far as this place in the feed."""
        self.epoch, self.entry = epoch, entry
        self._marks = dict(marks)

    def resume(self, epoch: str, entry: str) -> None:
        """The client has seen everything up to this place in the feed."""
        self.epoch, self.entry = epoch, entry
        self._marks.clear()

    def event(self, event: Event) -> Sequence[Event]:
        """A durable event arrived. Returns what to show now."""
        if self.must_read:
            return ()
        if self.holding:
            self.must_read = not self._held.add(event)
            self._overtake(event)
            return ()
        return self._next(event)

    def pulse(self, pulse: Pulse) -> Sequence[Pulse]:
        """Progress arrived. Returns what to show now."""
        if self.must_read or self._is_old(pulse):
            return ()
        if self.holding:
            if len(self._pulses) < HELD_PULSES or pulse.job in self._pulses:
                self._pulses[pulse.job] = pulse
            return ()
        return (pulse,) if self._wants(pulse.job) else ()

    def release(self) -> Sequence[Event | Pulse]:
        """Stops holding. Returns what was kept back and is still news; look at `must_read` afterwards."""
        self.holding = False
        self.unknown = None
        shown: list[Event | Pulse] = []
        for event in self._held.take():
            # A job that is not known has begun to hold again.
            shown.extend(self.event(event))
        if not (self.holding or self.must_read):
            pulses, self._pulses = self._pulses, {}
            shown.extend(pulse for pulse in pulses.values() if not self._is_old(pulse) and self._wants(pulse.job))
        return shown

    def pass_by(self, events: Sequence[Event]) -> Sequence[Event]:
        """What to show of events that were read from the feed. `wants` must know all their jobs."""
        return [shown for event in events for shown in self._next(event)]

    def _next(self, event: Event) -> Sequence[Event]:
        if place_of(event.entry) <= place_of(self.entry):
            return ()
        wanted = self._wants(event.job)
        if wanted is None:
            self.unknown = event.job
            self.holding = True
            self.must_read = not self._held.add(event)
            return ()
        self.epoch, self.entry = event.epoch, event.entry
        self._overtake(event)
        mark = self._marks.get(event.job)
        if mark is not None:
            if event.rev <= mark.rev:
                return ()
            # Whatever follows in the feed is newer than the snapshot as well.
            del self._marks[event.job]
        return (event,) if wanted else ()

    def _overtake(self, event: Event) -> None:
        """Progress that was made before an event is not shown after it."""
        pulse = self._pulses.get(event.job)
        if pulse is not None and pulse.rev < event.rev:
            del self._pulses[event.job]

    def _is_old(self, pulse: Pulse) -> bool:
        mark = self._marks.get(pulse.job)
        return mark is not None and (pulse.rev < mark.rev or pulse.percent < mark.percent or pulse.at_ms < mark.at_ms)
