"""The last durable events of one partition, kept in memory so that a storm of reconnects does not reach Redis. Pure."""

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import islice

from gateway.streams.cursor import place_of
from gateway.streams.events import Event, Pulse

EVENT_OVERHEAD_BYTES = 400
"""What one event costs besides its data: the struct, its strings and its place in three queues."""


class Ring:
    """A window of the feed that ends where the pump is. Older events fall out by number and by size."""

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[Event] = deque()
        self._jobs: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._tenants: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._pulses: dict[str, Pulse] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Adds the newest event of the partition."""
        self._events.append(event)
        self._jobs[event.job].append(event)
        self._tenants[event.tenant].append(event)
        # The data, and up to two framed forms of it.
        self.size_bytes += EVENT_OVERHEAD_BYTES + 3 * len(event.data)
        # Whoever continues at this event is shown no progress that was made before it.
        self._pulses.pop(event.job, None)
        while len(self._events) > self._most_events or self.size_bytes > self._most_bytes:
            self._drop_oldest()

    def note(self, pulse: Pulse) -> bool:
        """Keeps the newest progress of a job in the window. False: an event of the job has overtaken it."""
        events = self._jobs.get(pulse.job)
        if events is None:
            return True
        if pulse.rev < events[-1].rev or events[-1].terminal:
            return False
        self._pulses[pulse.job] = pulse
        return True

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

    def newest(self, tenant: str) -> Event | None:
        """The last event of a tenant in the window."""
        events = self._tenants.get(tenant)
        return events[-1] if events else None

    def of_tenant_since(self, tenant: str, epoch: str, entry: str, most: int) -> Sequence[Event] | None:
        """At most so many of the tenant's events after one of its own; None when that one is not in the window."""
        events = self._tenants.get(tenant, ())
        sought = place_of(entry)
        # From the newest backwards: a watcher that fell behind is near the end.
        for distance, event in enumerate(reversed(events)):
            if event.entry == entry and event.epoch == epoch:
                first = len(events) - distance
                return tuple(islice(events, first, first + most))
            if place_of(event.entry) < sought:
                return None
        return None

    def clear(self) -> None:
        """Forgets everything: what follows does not continue it."""
        self._events.clear()
        self._jobs.clear()
        self._tenants.clear()
        self._pulses.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self.size_bytes -= EVENT_OVERHEAD_BYTES + 3 * len(event.data)
        _drop_first(self._tenants, event.tenant)
        if _drop_first(self._jobs, event.job):
            self._pulses.pop(event.job, None)


def _drop_first(queues: dict[str, deque[Event]], name: str) -> bool:
    """Drops the oldest event of a queue; True when it was the last one."""
    events = queues[name]
    events.popleft()
    if events:
        return False
    del queues[name]
    return True
