"""How a watcher of one job talks to the gateway: what it sends, and when its stream is open."""

from typing import Protocol

from bench.roles import KEY


class Transport(Protocol):
    """One way to follow a job. It has no state: `seen` is everything that was received until the stream was open."""

    name: str
    sign: bytes
    """What a sign of life that must be answered contains; empty: there is none."""
    answer: bytes
    """To such a sign."""

    def request(self, job: str) -> bytes:
        """What is sent first."""

    def response(self, job: str, seen: bytes) -> bytes:
        """What is sent when so much was received; empty: nothing."""

    def is_open(self, seen: bytes) -> bool:
        """Whether everything that follows is news. Raises RuntimeError when it was refused."""


class Sse:
    """Server-Sent Events, of the gateway or of any other server with such a path."""

    name = "SSE"
    sign = answer = b""

    def __init__(self, path: str = "/v1/jobs/{job}/events", first: bytes = b"event: snapshot") -> None:
        self._path = path
        self._first = first

    def request(self, job: str) -> bytes:
        return _head(self._path.format(job=job), "Accept: text/event-stream")

    def response(self, job: str, seen: bytes) -> bytes:
        del job, seen
        return b""

    def is_open(self, seen: bytes) -> bool:
        _refuse(seen, b"HTTP/1.1 200")
        return self._first in seen and seen.endswith(b"\n\n\r\n")


class WebSocket:
    """One connection with one subscription."""

    name = "WebSocket"
    sign = b'"op":"ping"'

    def __init__(self) -> None:
        self.answer = _message('{"op":"pong"}')

    def request(self, job: str) -> bytes:
        del job
        return _head(
            "/v1/ws",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )

    def response(self, job: str, seen: bytes) -> bytes:
        if b'"op":"hello"' in seen and b'"op":"sub"' not in seen:
            return _message(f'{{"op":"sub","id":"1","topic":"job:{job}"}}')
        return b""

    def is_open(self, seen: bytes) -> bool:
        _refuse(seen, b"HTTP/1.1 101")
        if b'"op":"error"' in seen:
            raise RuntimeError(f"a watcher was answered {seen[-500:]!r}")
        return b'"op":"sub"' in seen and seen.endswith(b"}")


def _head(path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {KEY}", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _refuse(seen: bytes, wanted: bytes) -> None:
    if not seen.startswith(wanted[: len(seen)]):
        raise RuntimeError(f"a watcher was answered {seen[:500]!r}")


def _message(text: str) -> bytes:
    """A short text message of a client, whose mask is all zeros: the content may be read, since it is no secret."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text.encode()
