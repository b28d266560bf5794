"""The text of Server-Sent Events (WHATWG HTML, section 9.2) and of HTTP/1.1 chunks (RFC 9112, section 7.1). Pure."""


def frame(event: str, data: bytes, identity: str | None = None) -> bytes:
    """One event. `data` is one line; an event without `identity` leaves the client's cursor where it is."""
    head = f"id: {identity}\nevent: {event}\ndata: " if identity else f"event: {event}\ndata: "
    return head.encode() + data + b"\n\n"


def prime(retry_ms: int, identity: str) -> bytes:
    """The beginning of a stream: when to come back, and a cursor for a client that is cut off before the first event.

    Without a line of data nothing is dispatched, and the cursor is set all the same; an empty line of data would be a
    `message` with the text "".
    """
    return f"retry: {retry_ms}\nid: {identity}\n\n".encode()


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
