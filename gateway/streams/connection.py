"""One SSE connection: writes frames past aiohttp's per-message machinery, and stays within its bounds.

A frame is serialised and chunk-framed once for all connections and handed to the transport directly, which costs
about a fifth of `StreamResponse.write`. Nothing is queued here: past a soft bound the watch holds (events are shared,
progress is latest-wins) until the socket has drained; a socket that takes nothing for too long is aborted, since a
plain close would keep its unsent bytes.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http import HttpVersion11

from gateway.streams.events import Event, Pulse
from gateway.streams.framing import chunk, frame
from gateway.streams.watch import JobWatch, Shown
from gateway.times import timestamp

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    # nginx buffers answers unless it is told not to.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


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


class JobStream:
    """A watcher of one job and its connection. Lives in the event loop; none of its methods waits."""

    __slots__ = (
        "_bounds", "_chunked", "_heartbeat_at_s", "_heartbeat_s", "_least_bytes", "_leave_at_s", "_moved_at_s",
        "_transport", "gone", "job", "leave_reason", "partition", "slow", "wake", "watch",
    )  # fmt: skip

    def __init__(self, job: str, partition: str, bounds: Bounds, *, life_s: float, heartbeat_s: float) -> None:
        self.job = job
        self.partition = partition
        self.watch = JobWatch()
        self.wake = asyncio.Event()
        """Set when the handler has something to do: read again, finish, or leave."""
        self.gone = False
        """The client has left, or was given up."""
        self.slow = False
        """It was given up because it took nothing."""
        self.leave_reason = ""
        """Why the client shall come back later; empty while it may stay."""
        self._bounds = bounds
        self._heartbeat_s = heartbeat_s
        now_s = asyncio.get_running_loop().time()
        self._leave_at_s = now_s + life_s * random.uniform(0.8, 1.2)
        self._heartbeat_at_s = self._next_heartbeat(now_s)
        self._transport: asyncio.Transport | None = None
        self._chunked = False
        self._least_bytes = 0
        self._moved_at_s = now_s

    def attach(self, request: web.Request) -> None:
        """From now on frames go to the socket of `request`, whose headers have been sent."""
        self._transport = request.transport
        self._chunked = request.version >= HttpVersion11

    @property
    def behind(self) -> bool:
        """The socket has not taken what it was given; the watch holds."""
        return self._least_bytes > 0

    def event(self, event: Event) -> None:
        self._show(self.watch.event(event))

    def pulse(self, pulse: Pulse) -> None:
        self._show(self.watch.pulse(pulse))

    def lose(self) -> None:
        self.watch.lose()
        self.wake.set()

    def abort(self) -> None:
        self.gone = True
        self.wake.set()
        if self._transport is not None:
            self._transport.abort()

    def leave(self, reason: str) -> None:
        """The client shall come back later."""
        self.leave_reason = self.leave_reason or reason
        self.wake.set()

    def release(self) -> None:
        """Shows what was kept back, unless the socket is behind: then it happens once that has drained."""
        if not self.behind:
            self._show(self.watch.release())

    def write(self, frames: Iterable[bytes]) -> None:
        """Writes frames that no other connection shares."""
        data = b"".join(frames)
        if data:
            self._send(chunk(data) if self._chunked else data)

    def tick(self, now_s: float) -> None:
        """Once a second: the heartbeat, the end of its life, a client that has left."""
        if self._transport is None:
            return
        if self._transport.is_closing():
            self.gone = True
            self.wake.set()
        elif now_s >= self._leave_at_s:
            self.leave("lifetime")
        elif now_s >= self._heartbeat_at_s and not self.behind:
            self._heartbeat_at_s = self._next_heartbeat(now_s)
            self.write([heartbeat()])

    def look(self, now_s: float) -> None:
        """Called often while it is behind: goes on when the socket has drained, gives up when it takes nothing."""
        if self._transport is None or self._transport.is_closing():
            self.gone = True
            self.wake.set()
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent <= self._bounds.drained_bytes:
            self._least_bytes = 0
            # A watch that must read again is released by the handler once it has.
            if self.watch.must_read:
                self.wake.set()
            else:
                self._show(self.watch.release())
        elif unsent < self._least_bytes:
            self._least_bytes = unsent
            self._moved_at_s = now_s
        elif now_s - self._moved_at_s >= self._bounds.stall_s:
            self.slow = True
            self.abort()

    def _show(self, shown: Iterable[Shown]) -> None:
        for item in shown:
            self._send(item.frame(chunked=self._chunked))
        if self.watch.ended or (self.watch.must_read and not self.behind):
            self.wake.set()

    def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            # uvloop raises when a closed transport is written to.
            self.gone = True
            self.wake.set()
            return
        transport.write(data)
        unsent = transport.get_write_buffer_size()
        if unsent > self._bounds.hard_bytes and unsent - len(data) > self._bounds.soft_bytes:
            self.slow = True
            self.abort()
        elif unsent > self._bounds.soft_bytes and not self.behind:
            self._least_bytes = unsent
            self._moved_at_s = asyncio.get_running_loop().time()
            self.watch.hold()

    def _next_heartbeat(self, now_s: float) -> float:
        return now_s + self._heartbeat_s * random.uniform(1.0, 4 / 3)


def heartbeat() -> bytes:
    """A named event and not a comment: scripts cannot see comments, and a half-open connection needs a watchdog."""
    return frame("heartbeat", b'{"at":"%b"}' % timestamp(round(time.time() * 1000)).encode())
