"""WebSocket framing as a client needs it (RFC 6455, section 5): whole messages in, masked messages out. Pure."""

import struct
from dataclasses import dataclass

from tests.watchers.frames import NotAStream

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MASK = b"\x00\x00\x00\x00"
"""A mask of zeros is a mask."""


@dataclass
class MessageDecoder:
    """Reads what a server sends behind its answer to the upgrade."""

    _raw: bytes = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and payload of each whole message. Raises NotAStream: the gateway sends no fragments and no masks."""
        self._raw += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> tuple[int, bytes] | None:
        raw = self._raw
        if len(raw) < 2:
            return None
        first, size = raw[0], raw[1]
        if not first & 0x80 or first & 0x70 or size & 0x80:
            raise NotAStream(f"a message begins with {raw[:2].hex()}")
        begin = 2
        if size == 126:
            begin = 4
        elif size == 127:
            begin = 10
        if len(raw) < begin:
            return None
        if begin > 2:
            size = int.from_bytes(raw[2:begin], "big")
        if len(raw) < begin + size:
            return None
        self._raw = raw[begin + size :]
        return first & 0x0F, raw[begin : begin + size]


def masked(opcode: int, payload: bytes) -> bytes:
    """A message of a client, of at most 65535 bytes."""
    if len(payload) < 126:
        return bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + payload
    return struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, len(payload)) + MASK + payload
