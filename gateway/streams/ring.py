"""The last durable events of one partition, kept in memory so that a storm of reconnects does not reach Redis. Pure."""

from collections import deque
from collections.abc import Sequence

from gateway.streams.events import Event, Pulse

EVENT_OVERHEAD_BYTES = 400
"""What one event costs besides its data: the struct, its strings and its place in two queues."""


class Ring:
    """A window of the feed that ends where the pump is. Older events fall out by number and by size."""

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[Event] = deque()
        self._jobs: dict[str, deque[Event]] = {}
        self._pulses: dict[str, Pulse] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Adds the newest event of the partition."""
        self._events.append(event)
        self._jobs.setdefault(event.job, deque()).append(event)
        self.size_bytes += _size(event)
        if event.terminal:
            self._pulses.pop(event.job, None)
        while len(self._events) > self._most_events or self.size_bytes > self._most_bytes:
            self._drop_oldest()

    def note(self, pulse: Pulse) -> None:
        """Keeps the newest progress of a job that is in the window."""
        if pulse.job in self._jobs:
            self._pulses[pulse.job] = pulse

    def pulse(self, job: str) -> Pulse | None:
        """The newest progress of a job, if it is known here."""
        return self._pulses.get(job)

    def since(self, job: str, epoch: str, entry: str) -> tuple[Event, Sequence[Event]] | None:
        """The event at this place and what the job has seen since; None when the place is not in the window."""
        events = self._jobs.get(job, ())
        for index, event in enumerate(events):
            if event.entry == entry and event.epoch == epoch:
                return event, tuple(events)[index + 1 :]
        return None

    def clear(self) -> None:
        """Forgets everything: what follows does not continue it."""
        self._events.clear()
        self._jobs.clear()
        self._pulses.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self.size_bytes -= _size(event)
        events = self._jobs[event.job]
        events.popleft()
        if not events:
            del self._jobs[event.job]
            self._pulses.pop(event.job, None)


def _size(event: Event) -> int:
    # The data, and up to two framed forms of it.
    return EVENT_OVERHEAD_BYTES + 3 * len(event.data)
