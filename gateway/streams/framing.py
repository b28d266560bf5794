"""The bytes of Server-Sent Events (WHATWG HTML, section 9.2), of HTTP/1.1 chunks (RFC 9112, section 7.1) and of
WebSocket messages (RFC 6455, section 5.2). Pure."""

import struct

_FINAL_TEXT, _FINAL_PING = 0x81, 0x89


def frame(event: str, data: bytes, identity: str | None = None) -> bytes:
    """One event. `data` is one line; an event without `identity` leaves the client's cursor where it is."""
    return b"".join((_head(event, identity), data, b"\n\n"))


def frame_chunk(event: str, data: bytes, identity: str | None = None) -> bytes:
    """`chunk(frame(...))` without the copy in between."""
    head = _head(event, identity)
    return b"".join((b"%x\r\n" % (len(head) + len(data) + 2), head, data, b"\n\n\r\n"))


def _head(event: str, identity: str | None) -> bytes:
    return (f"id: {identity}\nevent: {event}\ndata: " if identity else f"event: {event}\ndata: ").encode()


def prime(retry_ms: int, identity: str) -> bytes:
    """The beginning of a stream: when to come back, and a cursor for a client that is cut off before the first event.

    Without a line of data nothing is dispatched, and the cursor is set all the same; an empty line of data would be a
    `message` with the text "".
    """
    return f"retry: {retry_ms}\nid: {identity}\n\n".encode()


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def content(chunk: bytes) -> bytes:
    """What was made a chunk."""
    return chunk[chunk.index(b"\n") + 1 : -2]


def text_message(data: bytes) -> bytes:
    """`data`, UTF-8, as one unmasked text message of a server."""
    size = len(data)
    if size < 126:
        return bytes((_FINAL_TEXT, size)) + data
    if size < 1 << 16:
        return struct.pack("!BBH", _FINAL_TEXT, 126, size) + data
    return struct.pack("!BBQ", _FINAL_TEXT, 127, size) + data


PING = bytes((_FINAL_PING, 0))
"""A ping of the protocol itself, which every client answers without knowing it."""
