"""How a watcher of one job talks to the gateway: what it sends, and when its stream is open."""

from typing import Protocol

from bench.roles import KEY


class Transport(Protocol):
    """One way to follow a job. It has no state: `seen` is everything that was received until the stream was open."""

    name: str

    def request(self, job: str) -> bytes:
        """What is sent first."""

    def response(self, job: str, seen: bytes) -> bytes:
        """What is sent when so much was received; empty: nothing."""

    def is_open(self, seen: bytes) -> bool:
        """Whether everything that follows is news. Raises RuntimeError when it was refused."""

    def echo(self, received: bytes) -> bytes:
        """The answer to a sign of life; empty: it needs none."""


class Sse:
    """Server-Sent Events, of the gateway or of any other server with such a path."""

    name = "SSE"

    def __init__(self, path: str = "/v1/jobs/{job}/events", first: bytes = b"event: snapshot") -> None:
        self._path = path
        self._first = first

    def request(self, job: str) -> bytes:
        return (
            f"GET {self._path.format(job=job)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {KEY}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()

    def response(self, job: str, seen: bytes) -> bytes:
        del job, seen
        return b""

    def is_open(self, seen: bytes) -> bool:
        head, ended, body = seen.partition(b"\r\n\r\n")
        if ended and not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a watcher was answered {seen[:500]!r}")
        return self._first in body and body.endswith(b"\n\n\r\n")

    def echo(self, received: bytes) -> bytes:
        del received
        return b""
