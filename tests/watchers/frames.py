"""What the bytes of an event stream say: the HTTP head, the chunks of its body, the frames in them. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

LONGEST_FRAME_BYTES = 1 << 22


class NotAStream(ValueError):
    """The bytes are no answer, no chunks or no frames."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was sent. `event` is empty where only the client's cursor is set."""

    event: str
    id: str | None = None
    retry_ms: int | None = None
    data: dict[str, Any] | None = None


@dataclass
class Decoder:
    """Reads one answer, in whatever pieces it comes."""

    status: int = 0
    """0 until the head is whole."""
    headers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    """The last chunk was read: the server has closed the stream, and not only the connection."""
    _raw: bytes = b""
    _text: bytes = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises NotAStream."""
        self._raw += data
        if not self.status and not self._read_head():
            return []
        self._read_chunks()
        *whole, self._text = self._text.split(b"\n\n")
        if len(self._text) > LONGEST_FRAME_BYTES:
            raise NotAStream("a frame without an end")
        return [parse(frame.decode()) for frame in whole]

    @property
    def torn(self) -> bool:
        """A frame has begun and not ended."""
        return bool(self._text)

    def _read_head(self) -> bool:
        head, blank, rest = self._raw.partition(b"\r\n\r\n")
        if not blank:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._raw = rest
        return True

    def _read_chunks(self) -> None:
        if self.headers.get("transfer-encoding") != "chunked":
            self._text, self._raw = self._text + self._raw, b""
            return
        place = 0
        while (line_end := self._raw.find(b"\r\n", place)) >= 0:
            size = int(self._raw[place:line_end], 16)
            begin, end = line_end + 2, line_end + 2 + size
            if len(self._raw) < end + 2:
                break
            if self._raw[end : end + 2] != b"\r\n":
                raise NotAStream("a chunk is not followed by a line end")
            self._text += self._raw[begin:end]
            self.ended = self.ended or size == 0
            place = end + 2
        self._raw = self._raw[place:]


def parse(text: str) -> Frame:
    """One frame. Raises NotAStream on anything that the gateway has no reason to send."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name not in ("event", "id", "retry", "data") or name in fields:
            raise NotAStream(f"an unexpected line: {line!r}")
        fields[name] = value.removeprefix(" ")
    data = json.loads(fields["data"]) if fields.get("data") else None
    retry_ms = int(fields["retry"]) if "retry" in fields else None
    return Frame(fields.get("event", ""), fields.get("id"), retry_ms, data)
