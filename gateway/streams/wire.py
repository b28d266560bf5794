"""How what is shown becomes bytes, on each transport. Pure; one object serves all connections of its kind."""

from typing import Protocol

import msgspec

from gateway.streams.documents import HeartbeatEvent
from gateway.streams.events import Shown
from gateway.streams.framing import PING, chunk, frame, text_message
from gateway.streams.replies import PingSent, Reply
from gateway.times import now_ms, timestamp


class Wire(Protocol):
    """One transport."""

    @property
    def transport(self) -> str:
        """Its name, for metrics and logs."""

    def shown(self, item: Shown, subscription: str) -> bytes:
        """An event, progress or a snapshot, for the named subscription of its connection."""

    @property
    def answers(self) -> bool:
        """Whether clients answer a sign of life, so that one that is silent is gone."""

    def heartbeat(self) -> bytes:
        """A sign of life that a script can see: a half-open connection needs a watchdog."""


class SseWire:
    """Server-Sent Events in an HTTP/1.0 body, or `chunked`, in one of HTTP/1.1."""

    transport = "sse"
    answers = False

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked

    def shown(self, item: Shown, _subscription: str) -> bytes:
        return item.frame(chunked=self._chunked)

    def heartbeat(self) -> bytes:
        # A named event and not a comment, which scripts cannot see.
        return self.pack(frame("heartbeat", msgspec.json.encode(HeartbeatEvent(timestamp(now_ms())))))

    def pack(self, frames: bytes) -> bytes:
        """Frames as a part of the body."""
        return chunk(frames) if self._chunked else frames


class WebSocketWire:
    """Text messages in JSON, each with its `op`."""

    transport = "ws"
    answers = True

    def shown(self, item: Shown, subscription: str) -> bytes:
        # A `Delivery`. The name was checked when the subscription began: it needs no escape.
        return text_message(b'{"op":"ev","sub":"%b","event":%b}' % (subscription.encode(), item.envelope))

    def heartbeat(self) -> bytes:
        return self.message(PingSent(timestamp(now_ms()))) + PING

    def message(self, reply: Reply) -> bytes:
        """Any other message, framed."""
        return text_message(msgspec.json.encode(reply))


SSE = SseWire(chunked=True)
SSE_PLAIN = SseWire(chunked=False)
WEBSOCKET = WebSocketWire()
