"""What one watcher of one job has been shown, and so what it must see next. Pure.

A watch begins holding: what arrives is kept until the snapshot was read and written, and then released. It holds again
while a snapshot is read anew and while its socket is behind. Every durable event is shown once and in order of `rev`;
where that is not possible the watch says that the job must be read again, and never shows a part.
"""

from collections.abc import Sequence

from gateway.streams.events import Event, Pulse
from gateway.streams.held import Held


class JobWatch:
    """The state of one watcher. `rev`, `percent` and `progress_at_ms` are the last that were shown."""

    unknown = None
    """It knows all it needs to."""

    __slots__ = (
        "_held", "_pulse", "end_state", "holding", "lost", "must_read", "percent", "progress_at_ms", "rev",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rev = 0
        self.percent = 0.0
        self.progress_at_ms = 0
        self.end_state: str | None = None
        """The terminal state, once it was shown."""
        self.must_read = False
        """Something is missing: only the job itself can say where it stands. Cleared by `begin_reading`."""
        self.lost = False
        """The pump cannot prove that its tail is whole, so the client is told. Cleared by `begin_reading`."""
        self.holding = True
        self._held = Held()
        self._pulse: Pulse | None = None

    def hold(self) -> None:
        """From here on everything is kept back, until `release`."""
        self.holding = True

    def begin_reading(self) -> None:
        """The job is about to be read: what was missing until now will be in it, and what follows is kept back."""
        self.holding = True
        self.must_read = False
        self.lost = False
        self._held.clear()
        self._pulse = None

    def lose(self) -> None:
        """The tail has a hole."""
        self.must_read = True
        self.lost = True

    @property
    def ended(self) -> bool:
        """Nothing more is shown."""
        return self.end_state is not None

    def show(self, rev: int, percent: float, at_ms: int, end_state: str | None) -> None:
        """A snapshot was shown: the job as it stood at `at_ms` (server time). `rev` may be lower than before."""
        self.rev = rev
        self.percent = percent
        self.progress_at_ms = at_ms
        self.end_state = end_state

    def resume(self, pulse: Pulse) -> Sequence[Event | Pulse]:
        """Progress from memory for a client that was just brought up to date. Returns what to show now."""
        if self.ended or pulse.rev != self.rev:
            return ()
        return self._progress(pulse)

    def event(self, event: Event) -> Sequence[Event | Pulse]:
        """A durable event arrived. Returns what to show now."""
        if self.must_read or self.end_state is not None:
            return ()
        if self.holding:
            self.must_read = not self._held.add(event)
            return ()
        return self._next(event)

    def pulse(self, pulse: Pulse) -> Sequence[Event | Pulse]:
        """Progress arrived. Returns what to show now."""
        if self.must_read or self.end_state is not None or self._is_old(pulse):
            return ()
        if self.holding or pulse.rev > self.rev:
            # The event that it follows is still on its way.
            self._pulse = pulse
            return ()
        return self._progress(pulse)

    def release(self) -> Sequence[Event | Pulse]:
        """Stops holding. Returns what was kept back and is still news; look at `must_read` afterwards."""
        self.holding = False
        shown: list[Event | Pulse] = []
        for event in self._held.take():
            if not self.ended and not self.must_read:
                shown.extend(self._next(event))
        return [*shown, *self._waiting_progress()]

    def _next(self, event: Event) -> Sequence[Event | Pulse]:
        if event.rev <= self.rev:
            return ()
        if event.rev != self.rev + 1:
            self.must_read = True
            return ()
        self.rev = event.rev
        self.end_state = event.end_state
        return (event,) if self._pulse is None else (event, *self._waiting_progress())

    def _waiting_progress(self) -> Sequence[Event | Pulse]:
        pulse = self._pulse
        if pulse is None or self.must_read:
            return ()
        if self.ended or self._is_old(pulse):
            self._pulse = None
            return ()
        if pulse.rev > self.rev:
            return ()
        self._pulse = None
        return self._progress(pulse)

    def _progress(self, pulse: Pulse) -> Sequence[Event | Pulse]:
        self.percent = pulse.percent
        self.progress_at_ms = pulse.at_ms
        return (pulse,)

    def _is_old(self, pulse: Pulse) -> bool:
        return pulse.rev < self.rev or pulse.percent < self.percent or pulse.at_ms < self.progress_at_ms
