"""A client's place in the events of a job, and whether it still is one. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.streams.events import Event

_CURSOR = re.compile(r"([0-9a-z]{1,24})\.([0-9]{1,16}-[0-9]{1,20})")
BEGINNING = "0-0"


@dataclass(frozen=True, slots=True)
class Cursor:
    """An event id that a client sent: the feed's epoch and the entry."""

    epoch: str
    entry: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.entry}"


@dataclass(frozen=True, slots=True)
class BadCursor:
    """What a client sent is no event id."""


def place_of(entry: str) -> tuple[int, int]:
    """An entry id as numbers: they are in the order of the feed, the text is not."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence)


def parse_cursor(text: str | None) -> Cursor | BadCursor | None:
    """The Last-Event-ID of a request. None when the client has seen nothing yet, which a primed id says too."""
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        return BadCursor()
    if match[2] == BEGINNING:
        return None
    return Cursor(match[1], match[2])


def events_after(cursor: Cursor, epoch: str | None, log: Sequence[Event], rev: int) -> Sequence[Event] | None:
    """What a client at `cursor` has not seen of `log`; None when that cannot be proved to be everything.

    It can when the cursor's own entry is in the log, under the same epoch, and the revisions after it are contiguous
    and reach at least `rev`, the revision of the job that was read before the log.
    """
    if cursor.epoch != epoch:
        return None
    seen = next((event for event in log if event.entry == cursor.entry), None)
    return None if seen is None else events_since(seen.rev, log, rev)


def events_since(seen: int, log: Sequence[Event], rev: int) -> Sequence[Event] | None:
    """The events of `log` after revision `seen`; None when one is missing on the way to `rev` or later."""
    rest = [event for event in log if event.rev > seen]
    if any(event.rev != seen + number for number, event in enumerate(rest, start=1)):
        return None
    return rest if seen + len(rest) >= rev else None
