"""Events that one watcher has waiting: few and small enough that a watcher which reads nothing costs little. Pure."""

from gateway.streams.events import Event

HELD_EVENTS = 256
HELD_BYTES = 128 * 1024
"""Of their data. With what its socket has not taken, a watcher stays within the bounds of its connection."""


class Held:
    """They are shared with the ring for as long as that keeps them; what finds no room is read again."""

    __slots__ = ("_events", "_size_bytes")

    def __init__(self) -> None:
        self._events: list[Event] | None = None
        """None while nothing is held: thousands of watchers hold nothing."""
        self._size_bytes = 0

    def add(self, event: Event) -> bool:
        """False: there is no room, and nothing is held any more."""
        self._size_bytes += len(event.data)
        if self._events is None:
            self._events = []
        if len(self._events) >= HELD_EVENTS or self._size_bytes > HELD_BYTES:
            self.clear()
            return False
        self._events.append(event)
        return True

    def take(self) -> list[Event]:
        """All of them, oldest first; nothing is held any more."""
        events = self._events
        self.clear()
        return events or []

    def clear(self) -> None:
        self._events = None
        self._size_bytes = 0
