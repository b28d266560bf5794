"""The text of Server-Sent Events, by the rules of WHATWG HTML section 9.2. Pure: bytes in, frames out."""

import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_FRAME_BYTES = 1 << 24
_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)
"""A CR at the very end may be half of a CRLF."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FrameTooLarge(Exception):
    """A frame that no gateway sends."""


class Frame(NamedTuple):
    """One frame that has come whole. `id` None leaves the cursor where it is; without `data` there is no event."""

    event: str = ""
    id: str | None = None
    data: bytes = b""
    retry_ms: int | None = None


class Parser:
    """One connection's frames. What a cut leaves behind is never shown, and moves no cursor."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._at_beginning = True
        self._frame = Frame()
        self._size_bytes = 0

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that end within `piece`. Raises FrameTooLarge."""
        may_end = self._rest.endswith(b"\r") or b"\n" in piece or b"\r" in piece
        self._rest += piece
        self._size_bytes += len(piece)
        if self._size_bytes > MOST_FRAME_BYTES:
            raise FrameTooLarge
        if not may_end:
            return
        *lines, rest = _LINE_END.split(bytes(self._rest))
        self._rest = bytearray(rest)
        for line in lines:
            if self._at_beginning:
                self._at_beginning = False
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line:
                self._read(line)
                continue
            frame, self._frame, self._size_bytes = self._frame, Frame(), len(self._rest)
            yield frame

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        frame = self._frame
        if name == b"event":
            self._frame = frame._replace(event=value.decode(errors="replace"))
        elif name == b"id" and b"\0" not in value:
            self._frame = frame._replace(id=value.decode(errors="replace"))
        elif name == b"data":
            self._frame = frame._replace(data=frame.data + b"\n" + value if frame.data else value)
        elif name == b"retry" and value.isdigit():
            self._frame = frame._replace(retry_ms=int(value[:9]))
