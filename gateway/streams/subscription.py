"""One topic on one connection: hears of it from the hub, and shows what its watch lets through."""

from collections.abc import Sequence

from actors.kernel import StoreUnavailable
from gateway.streams.channel import Channel
from gateway.streams.connection import Connection
from gateway.streams.events import Event, Pulse, Shown


class Subscription:
    """Lives in the event loop; none of its methods waits but `catch_up`."""

    __slots__ = ("channel", "connection", "is_open", "name", "partition", "watch")

    def __init__(self, name: str, channel: Channel, connection: Connection) -> None:
        self.name = name
        """What the client calls it; empty where a connection has but one."""
        self.channel = channel
        self.watch = channel.watch
        self.partition = channel.partition
        self.connection = connection
        self.is_open = False
        """The opening was sent. Until then everything is held. Written by `open`."""

    def event(self, event: Event) -> None:
        self.show(self.watch.event(event))

    def pulse(self, pulse: Pulse) -> None:
        self.show(self.watch.pulse(pulse))

    def lose(self) -> None:
        self.watch.lose()
        self.connection.notify()

    def abort(self) -> None:
        self.connection.abort()

    @property
    def wants_reading(self) -> bool:
        """Its session must find out what it has missed, or what it does not know."""
        return self.watch.must_read or self.watch.unknown is not None

    async def catch_up(self) -> None:
        """Shows what was missed, then what arrived meanwhile. Where it cannot be read, the client shall come back."""
        try:
            self.show(await self.channel.catch_up())
        except StoreUnavailable:
            # What arrived meanwhile does not continue what was shown: nothing more is, and the cursor stays before it.
            self.watch.lose()
            self.connection.leave("unavailable")
            return
        self.release()

    def open(self) -> None:
        """What arrived since the opening was read is shown from now on."""
        self.is_open = True
        self.release()

    def hold(self) -> None:
        self.watch.hold()

    def release(self) -> None:
        """Shows what was kept back, unless the socket is behind; where the session must read first that is nothing."""
        if self.is_open and not self.connection.behind:
            self.show(self.watch.release())

    def show(self, items: Sequence[Shown]) -> None:
        """Sends items, and wakes the session where that is not all.

        In one piece: what a client has missed may be larger than a connection's bounds, and must not make it look slow.
        """
        connection, shown = self.connection, self.connection.wire.shown
        if len(items) == 1:
            connection.send(shown(items[0], self.name))
        elif items:
            connection.send(b"".join([shown(item, self.name) for item in items]))
        if self.watch.ended or (self.wants_reading and not connection.behind):
            connection.notify()
