"""What is sent in one turn of the event loop leaves at its end: one write for each connection that has something.

So a watcher of many jobs gets one segment and not hundreds, and the writes of all connections follow one another, which
keeps whoever receives them awake.
"""

import asyncio
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """One that has something to write."""

    def flush(self) -> None:
        """Writes it; does not wait."""

    def abort(self) -> None:
        """`flush` raised: it must end, so that the others go on."""


class Outbox:
    """One for all connections of a process. Lives in the event loop."""

    def __init__(self) -> None:
        self._waiting: list[Sender] = []

    def add(self, sender: Sender) -> None:
        """`sender` is flushed at the end of this turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(sender)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sender in waiting:
            try:
                sender.flush()
            except Exception:  # noqa: BLE001 - one broken connection must not keep the others from their bytes
                _log.exception("stream.failed")
                sender.abort()
