"""What a subscription can follow: one job, or all jobs of a tenant. What both have in common, in types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.streams.cursor import BadCursor, Cursor
from gateway.streams.documents import EndEvent
from gateway.streams.events import Event, Pulse, Shown


class Watch(Protocol):
    """What a watcher has been shown, and so what it must see next; see `watch` and `tenant_watch`."""

    @property
    def must_read(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def unknown(self) -> str | None: ...

    def event(self, event: Event, /) -> Sequence[Shown]: ...

    def pulse(self, pulse: Pulse, /) -> Sequence[Shown]: ...

    def hold(self) -> None: ...

    def release(self) -> Sequence[Shown]: ...

    def lose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The client has seen the last event there will be. The watch knows which."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client is shown first. The watch has been told that it was shown."""

    items: Sequence[Shown]
    source: str
    """Where it came from, for the metric: snapshot, ring, log, feed or resync."""

    @property
    def recovered(self) -> bool:
        """It continues where the client was."""
        return self.source in {"ring", "log", "feed"}


class Channel(Protocol):
    """Where a subscription's events come from."""

    @property
    def topic(self) -> str:
        """The hub's topic."""

    @property
    def partition(self) -> str:
        """The partition that its events come through."""

    @property
    def watch(self) -> Watch: ...

    @property
    def ended(self) -> bool:
        """Nothing more will come."""

    @property
    def end(self) -> EndEvent | None:
        """What the client is told last, once it has ended; None: it has no end."""

    async def open(self, cursor: Cursor | BadCursor | None) -> Opening | NothingNew:
        """How the subscription begins. Raises Problem, UnknownJobId or StoreUnavailable."""

    async def catch_up(self) -> Sequence[Shown]:
        """What the watch has missed, or the state of things where that cannot be told. Raises StoreUnavailable."""
