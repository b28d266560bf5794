"""Many watchers in one process: plain sockets, one epoll, no event loop, so that they take little of the machine.

A delivery carries the moment at which its event was written, on the clock that all processes of the machine share.
"""

import contextlib
import resource
import select
import socket
import time
from array import array
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

import msgspec

from bench.streams import apart
from bench.streams.transport import Transport

RECEIVE_BYTES = 1 << 18
OPEN_TOGETHER = 200
OPEN_S = 60.0
SMALL_BYTES = 4096
SEGMENT_BYTES = 1400
"""As on a network: the loopback's own segments of 64 KiB let the kernel take megabytes for each sender."""
DIGITS = 16
"""Of a moment in microseconds since 1970."""
RESYNC = b'"type":"resync"'


class Watcher(NamedTuple):
    """One connection."""

    connection: socket.socket
    job: str
    transport: Transport


class Heard(msgspec.Struct, frozen=True):
    """What all watchers received since `listen`, in the order of its arrival."""

    sent_us: "array[int]"
    """Moment at which each event was written, since 1970."""
    took_us: "array[int]"
    """From there until its bytes lay at the socket."""
    resyncs: int
    """Watchers that had to be told anew how their job stands."""
    closed: int
    """Connections that the other side has ended."""
    processor_s: float
    """Of this process so far."""


class Crowd:
    """The watchers."""

    def __init__(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._poll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        self._rest: dict[int, bytes] = {}
        """The last bytes of each connection, in which a mark may have begun."""
        self._deaf: list[socket.socket] = []
        """Those that never read."""
        self._mark = b""
        self._clear()

    def serve(self, pipe: Connection) -> None:
        """Receives until there is nobody who asks."""
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        while True:
            if pipe.fileno() in self._receive(-1) and not apart.answer(pipe, self):
                return

    def open(self, port: int, transport: Transport, jobs: Sequence[str], *, reads: bool = True) -> None:
        """A watcher for each job; returns when all have been told how their job stands.

        `reads` False: from then on they take nothing more. Raises RuntimeError when one is refused, TimeoutError.
        """
        for first in range(0, len(jobs), OPEN_TOGETHER):
            opening = [_connect(port, job, transport, reads) for job in jobs[first : first + OPEN_TOGETHER]]
            self._until_open(opening)
            for each in opening:
                if reads:
                    self._watchers[each.connection.fileno()] = each
                    self._poll.register(each.connection.fileno(), select.EPOLLIN)
                else:
                    self._deaf.append(each.connection)

    def close(self) -> None:
        """Ends all of them."""
        for watcher in self._watchers.values():
            watcher.connection.close()
        for connection in self._deaf:
            connection.close()
        self._watchers.clear()
        self._rest.clear()
        self._deaf.clear()

    def listen(self, mark: str) -> None:
        """Counts from here on what carries a moment behind `mark`."""
        self._mark = mark.encode()
        self._rest.clear()
        self._clear()

    def count(self) -> int:
        """Deliveries since `listen`."""
        return len(self._took_us)

    def heard(self) -> Heard:
        """Everything since `listen`."""
        return Heard(self._sent_us, self._took_us, self._resyncs, self._closed, time.process_time())

    def _clear(self) -> None:
        self._sent_us, self._took_us = array("Q"), array("q")
        self._resyncs = self._closed = 0

    def _until_open(self, opening: Sequence[Watcher]) -> None:
        deadline = time.monotonic() + OPEN_S
        waiting = {each.connection.fileno(): (each, b"") for each in opening}
        with contextlib.closing(select.epoll()) as poll:
            for number in waiting:
                poll.register(number, select.EPOLLIN)
            while waiting:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(waiting)} watchers have not been answered")
                for number, _ in poll.poll(1.0):
                    watcher, seen = waiting[number]
                    received = watcher.connection.recv(RECEIVE_BYTES)
                    if not received:
                        raise RuntimeError(f"a watcher was cut off after {seen[-500:]!r}")
                    seen += received
                    if said := watcher.transport.response(watcher.job, seen):
                        watcher.connection.send(said)
                    if watcher.transport.is_open(seen):
                        poll.unregister(number)
                        del waiting[number]
                    else:
                        waiting[number] = watcher, seen

    def _receive(self, timeout_s: float) -> set[int]:
        """Takes what has arrived; returns the descriptors of whatever else is ready."""
        ready = self._poll.poll(timeout_s, 8192)
        # What is ready lay there when the poll returned, however long it takes to read it.
        now_us = time.time_ns() // 1000
        others = set()
        for number, _ in ready:
            watcher = self._watchers.get(number)
            if watcher is None:
                others.add(number)
                continue
            try:
                received = watcher.connection.recv(RECEIVE_BYTES)
            except ConnectionError:
                received = b""
            if not received:
                self._closed += 1
                self._poll.unregister(number)
                del self._watchers[number]
                watcher.connection.close()
                continue
            self._read(number, watcher, received, now_us)
        return others

    def _read(self, number: int, watcher: Watcher, received: bytes, now_us: int) -> None:
        sign = watcher.transport.sign
        if sign and sign in received:
            watcher.connection.send(watcher.transport.answer)
        if not self._mark:
            return
        data = self._rest.get(number, b"") + received
        length = len(self._mark)
        end, found = 0, data.find(self._mark)
        while found >= 0 and found + length + DIGITS <= len(data):
            end = found + length + DIGITS
            sent_us = int(data[found + length : end])
            self._sent_us.append(sent_us)
            self._took_us.append(now_us - sent_us)
            found = data.find(self._mark, end)
        self._rest[number] = data[max(end, len(data) - length - DIGITS) :]
        if end == 0:
            self._resyncs += data.count(RESYNC)


def _connect(port: int, job: str, transport: Transport, reads: bool) -> Watcher:
    connection = socket.socket()
    if not reads:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    connection.connect(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.send(transport.request(job))
    return Watcher(connection, job, transport)
