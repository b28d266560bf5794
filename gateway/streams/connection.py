"""One client's connection: writes frames past aiohttp's per-message machinery, and stays within its bounds.

A frame is serialised once for all connections and handed to the transport directly, which costs about a fifth of
`StreamResponse.write`. Nothing is queued here beyond one turn of the event loop: past a soft bound the watches hold
(events are shared, progress is latest-wins) until the socket has drained; a socket that takes nothing for too long is
aborted, since a plain close would keep its unsent bytes.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.streams.outbox import Outbox
from gateway.streams.wire import Wire

SILENT_HEARTBEATS = 3.0
"""Pauses between heartbeats after which a client that answers them is gone when it has said nothing."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may cost."""

    soft_bytes: int = 64 * 1024
    """Unsent bytes from which on nothing more is written."""
    hard_bytes: int = 256 * 1024
    """Unsent bytes at which a connection is given up."""
    drained_bytes: int = 16 * 1024
    stall_s: float = 15.0
    """A connection that takes nothing for so long is given up."""
    farewell_s: float = 2.0
    """The same while the process is being stopped."""
    introduction_s: float = 5.0
    """Until then a client that sent no key as a header has to have said who it is."""

    def end_s(self, *, draining: bool) -> float:
        """How long the end of a connection may take."""
        return self.farewell_s if draining else self.stall_s


class Session(Protocol):
    """What happens on a connection, in its order."""

    def call(self) -> None:
        """There is something to do: read again, finish, or leave."""


class Follower(Protocol):
    """What is shown on a connection. Its methods return at once."""

    def hold(self) -> None:
        """The socket is behind: show nothing more."""

    def release(self) -> None:
        """It has drained: show what was kept back."""


class Connection:
    """Lives in the event loop; none of its methods waits."""

    __slots__ = (
        "_bounds", "_followed", "_heard_at_s", "_heartbeat_at_s", "_heartbeat_s", "_least_bytes", "_leave_at_s",
        "_moved_at_s", "_outbox", "_session", "_transport", "_unwritten", "_unwritten_bytes", "ended", "gone",
        "leave_reason", "slow", "wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        bounds: Bounds,
        outbox: Outbox,
        session: Session,
        followed: Mapping[str, Follower],
        *,
        life_s: float,
        heartbeat_s: float,
    ) -> None:
        """`followed`: what it shows, by the names that the client gave. Written by the session, at any time."""
        self.wire = wire
        self.gone = False
        """The client has left, or was given up."""
        self.slow = False
        """It was given up because it took nothing."""
        self.ended = False
        """The last was said. Written by `end`."""
        self.leave_reason = ""
        """Why the client shall come back later; empty while it may stay."""
        self._bounds = bounds
        self._outbox = outbox
        self._session = session
        self._followed = followed
        self._heartbeat_s = heartbeat_s
        now_s = asyncio.get_running_loop().time()
        self._leave_at_s = now_s + life_s * random.uniform(0.8, 1.2)
        self._heartbeat_at_s = self._next_heartbeat(now_s)
        self._transport: asyncio.Transport | None = None
        self._unwritten: list[bytes] | None = None
        """Sent in this turn of the event loop. Filled by `send`, emptied by `flush`."""
        self._unwritten_bytes = 0
        self._least_bytes = 0
        self._moved_at_s = now_s
        self._heard_at_s = now_s

    def attach(self, transport: asyncio.Transport | None) -> None:
        """From now on frames go to this transport; the headers have been sent."""
        self._transport = transport

    @property
    def behind(self) -> bool:
        """The socket has not taken what it was given; the watches hold."""
        return self._least_bytes > 0

    def heard(self) -> None:
        """The client has said something."""
        self._heard_at_s = asyncio.get_running_loop().time()

    def notify(self) -> None:
        """Wakes the session."""
        self._session.call()

    def abort(self) -> None:
        self.gone = True
        self._session.call()
        if self._transport is not None:
            self._transport.abort()

    def leave(self, reason: str) -> None:
        """The client shall come back later."""
        self.leave_reason = self.leave_reason or reason
        self._session.call()

    def send(self, data: bytes) -> None:
        """Takes what the wire has framed; it is written at the end of this turn of the loop."""
        if self._unwritten is None:
            if self.ended:
                return
            self._unwritten = [data]
            self._outbox.add(self)
        else:
            self._unwritten.append(data)
        self._unwritten_bytes += len(data)
        if self._unwritten_bytes > self._bounds.soft_bytes:
            self.flush()

    def end(self, data: bytes) -> None:
        """Writes `data` as the last: whoever ends the transport's own protocol behind it may have to wait for a full
        socket, and what happens meanwhile must not be written behind that end."""
        self.send(data)
        self.flush()
        self.ended = True

    def flush(self) -> None:
        """Writes what was sent until now."""
        if self._unwritten is None:
            return
        data = self._unwritten[0] if len(self._unwritten) == 1 else b"".join(self._unwritten)
        self._unwritten = None
        self._unwritten_bytes = 0
        transport = self._transport
        if transport is None or transport.is_closing():
            # uvloop raises when a closed transport is written to.
            self.gone = True
            self._session.call()
            return
        transport.write(data)
        unsent = transport.get_write_buffer_size()
        if unsent > self._bounds.soft_bytes:
            self._fall_behind(unsent, len(data))

    def _fall_behind(self, unsent: int, added: int) -> None:
        if unsent > self._bounds.hard_bytes and unsent - added > self._bounds.soft_bytes:
            self.slow = True
            self.abort()
        elif not self.behind:
            self._least_bytes = unsent
            self._moved_at_s = asyncio.get_running_loop().time()
            for follower in self._followed.values():
                follower.hold()

    def tick(self, now_s: float) -> None:
        """Once a second: the heartbeat, the end of its life, a client that has left."""
        if self._transport is None:
            return
        if self._transport.is_closing():
            self.gone = True
            self._session.call()
        elif now_s >= self._leave_at_s:
            self.leave("lifetime")
        elif self.wire.answers and now_s - self._heard_at_s > SILENT_HEARTBEATS * self._heartbeat_s:
            self.abort()
        elif now_s >= self._heartbeat_at_s and not self.behind:
            self._heartbeat_at_s = self._next_heartbeat(now_s)
            self.send(self.wire.heartbeat())

    def look(self, now_s: float) -> None:
        """Called often while it is behind: goes on when the socket has drained, gives up when it takes nothing."""
        if self._transport is None or self._transport.is_closing():
            self.gone = True
            self._session.call()
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent <= self._bounds.drained_bytes:
            self._least_bytes = 0
            for follower in tuple(self._followed.values()):
                follower.release()
        elif unsent < self._least_bytes:
            self._least_bytes = unsent
            self._moved_at_s = now_s
        elif now_s - self._moved_at_s >= self._bounds.stall_s:
            self.slow = True
            self.abort()

    def _next_heartbeat(self, now_s: float) -> float:
        return now_s + self._heartbeat_s * random.uniform(1.0, 4 / 3)
