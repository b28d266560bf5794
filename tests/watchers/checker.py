"""Whether a watcher was told the truth, all of it, once and in order. Pure, and forgives nothing.

A stream begins with a primed id. Without a cursor a snapshot follows; with one, what came after it, or `resync`. From a
snapshot or a resync on, every durable event has the next revision, across all connections. Of a job that has ended,
snapshot and resync are followed by its terminal event under their own revision. After the terminal event comes `end`,
and nothing else; only then may a client be told to stop. Whose connection breaks between the two is told to stop when
it comes back, or, where the feed has become another since, is told the end once more behind a resync.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.watchers.frames import Frame
from tests.watchers.story import Connected, Left, Story

TERMINAL = {"completed", "failed", "cancelled", "expired"}
TERMINAL_EVENTS = {f"job.{state}" for state in TERMINAL}
WHOLE = ("snapshot", "resync")
ID = re.compile(r"([0-9a-z]+)\.([0-9]+)-([0-9]+)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a fault excuses. Without one: nothing."""

    resync: bool = False
    """The pump may have missed something."""
    undone_ms: tuple[int, int] | None = None
    """Redis has lost what it had told between these times (its own, ms): a resync may then be at a lower revision."""

    def undone(self, entry_ms: int) -> bool:
        """Whether an event of this time may be lost."""
        return self.undone_ms is not None and self.undone_ms[0] <= entry_ms <= self.undone_ms[1]

    def undone_report(self, at: str | None) -> bool:
        """Whether progress that was reported then may be lost: who comes back and has lost no event is not told."""
        return self.undone_ms is not None and at is not None and self.undone(milliseconds_of(at))


@dataclass(frozen=True, slots=True)
class Wrong:
    rule: str
    watcher: str
    job: str
    message: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A durable event in a job's log. Its entry's own time may be a little later than the event's."""

    type: str
    entry: str
    at_ms: int


Kept = Mapping[int, Logged]
"""Revision to event: what the job's log holds at the end."""


def judge(story: Story, kept: Kept, allowed: Allowed) -> list[Wrong]:
    """Everything that was wrong with what a watcher was shown."""
    reading = _Reading(story, allowed)
    for item in story.items:
        reading.read(item)
    reading.close()
    reading.compare(kept)
    return reading.found


def judge_all(stories: Iterable[Story], kept: Mapping[str, Kept], allowed: Allowed) -> list[Wrong]:
    return [wrong for story in stories for wrong in judge(story, kept.get(story.job, {}), allowed)]


class _Reading:
    """Where a reader of a story stands."""

    def __init__(self, story: Story, allowed: Allowed) -> None:
        self.found: list[Wrong] = []
        self._story = story
        self._allowed = allowed
        self._rev: int | None = None
        self._percent = -1.0
        self._percent_at: str | None = None
        """When that was reported; None: it is a snapshot's."""
        self._came_back = False
        """The client has, since progress was shown."""
        self._place: tuple[str, int, int] | None = None
        self._cursor: str | None = None
        self._shown: dict[int, tuple[str, int, int]] = {}
        """Durable events by their revision, but for those that a resync took back: type and entry."""
        self._shown_ms = 0
        """Time of the last one."""
        self._whole_state: str | None = None
        """State of the snapshot or resync that was the last thing shown."""
        self._state: str | None = None
        """The terminal one, once its event was shown."""
        self._closed = False
        """`end` or 204 was seen."""
        self._left = False
        self._awaits: str | None = None
        """What the open stream must say next: `prime`, or how it begins."""
        self._sent_away = False
        """The open stream has asked the client to come back."""

    def read(self, item: Connected | Frame | Left) -> None:
        if isinstance(item, Connected):
            self._connected(item)
        elif isinstance(item, Left):
            self._left = True
        else:
            self._frame(item)

    def close(self) -> None:
        if not self._left and self._state is None:
            self._say("unseen", "it stayed and was never shown a terminal event")
        if not self._left and not self._closed:
            self._say("open", "it stayed and was not told that this is the end")

    def compare(self, kept: Kept) -> None:
        # Whoever had left with the end before it was undone cannot be told.
        gone = self._closed and self._allowed.undone(self._shown_ms)
        for rev, (kind, milliseconds, sequence) in self._shown.items():
            logged, entry = kept.get(rev), f"{milliseconds}-{sequence}"
            same = logged is not None and (logged.type, logged.entry) == (kind, entry)
            if not same and not (gone and self._allowed.undone(milliseconds)):
                self._say("kept", f"it was shown {kind} {entry} as {rev}; the log has {logged}")

    def _say(self, rule: str, message: str) -> None:
        self.found.append(Wrong(rule, self._story.watcher, self._story.job, message))

    def _connected(self, item: Connected) -> None:
        if item.cursor != self._cursor:
            self._say("cursor", f"the client sent {item.cursor}, and was given {self._cursor}")
        if self._closed:
            self._say("after-end", "it came back after the end")
        if item.answer == "unknown":
            self._say("unknown", "it was told that there is no such job")
        if item.answer == "ended":
            self._closed = True
            if self._state is None:
                self._say("stopped", "it was told to stop before it was shown the terminal event")
        self._awaits = None
        if item.answer == "stream":
            self._awaits = "prime" if item.primed else self._beginning()
        self._sent_away = False
        self._came_back = True

    def _frame(self, frame: Frame) -> None:
        awaits, self._awaits = self._awaits, None
        if self._sent_away:
            self._say("reconnect", f"{frame.event} after the client was asked to come back")
        if frame.event == "reconnect":
            self._reconnect(frame)
            return
        if awaits == "prime":
            self._prime(frame)
            return
        if frame.event == "heartbeat":
            self._awaits = awaits
            if frame.id is not None or not (frame.data or {}).get("at"):
                self._say("heartbeat", f"{frame}")
            return
        if self._closed:
            self._say("after-end", f"{frame.event} after the end")
        if awaits == "snapshot" and frame.event != "snapshot":
            self._say("begin", f"a stream without a cursor begins with {frame.event}")
        if awaits != "snapshot" and frame.event == "snapshot":
            self._say("begin", "a snapshot though the client had a cursor")
        if frame.event == "end":
            self._end(frame.data or {})
        elif self._is_envelope(frame):
            if awaits == "continuation" and self._feed_is_another(frame):
                self._state = None
            self._tell(frame, frame.data or {})

    def _reconnect(self, frame: Frame) -> None:
        self._sent_away = True
        retry_ms = (frame.data or {}).get("retry_ms")
        if frame.retry_ms is None or frame.retry_ms != retry_ms or not (frame.data or {}).get("reason"):
            self._say("reconnect", f"{frame}")

    def _prime(self, frame: Frame) -> None:
        own = self._cursor if self._cursor and not self._cursor.endswith(".0-0") else None
        if frame.event or frame.data or frame.id is None or frame.retry_ms is None:
            self._say("prime", f"a stream begins with {frame}")
        elif frame.id != own and not (own is None and re.fullmatch(r"[0-9a-z]+\.0-0", frame.id)):
            self._say("prime", f"the primed id is {frame.id}, the client's cursor {own}")
        self._cursor = frame.id or self._cursor
        self._awaits = self._beginning()

    def _beginning(self) -> str:
        """How a stream for this cursor goes on."""
        return "snapshot" if self._cursor is None or self._cursor.endswith(".0-0") else "continuation"

    def _end(self, data: dict[str, Any]) -> None:
        self._closed = True
        if self._state is None or data != {"job": self._story.job, "state": self._state}:
            self._say("end", f"the end is {data}; it was shown {self._state}")

    def _is_envelope(self, frame: Frame) -> bool:
        data = frame.data or {}
        well = (
            set(data) == {"id", "type", "job", "rev", "at", "data"}
            and (data["id"], data["type"], data["job"]) == (frame.id, frame.event, self._story.job)
            and isinstance(data["rev"], int)
            and frame.retry_ms is None
        )
        if not well:
            self._say("envelope", f"{frame}")
        return well

    def _tell(self, frame: Frame, data: dict[str, Any]) -> None:
        rev = data["rev"]
        if frame.event == "job.progress":
            self._progress(frame, rev, data["data"]["progress"]["percent"], data["at"])
            return
        whole, self._whole_state = self._whole_state, None
        if frame.event == "resync" and self._allowed.undone(self._shown_ms):
            # Even the end may be undone.
            self._state = None
        if self._state is not None:
            self._say("after-end", f"{frame.event} {rev} after job.{self._state}")
        if frame.event in WHOLE:
            self._begin(frame, rev, data["data"])
        else:
            self._event(frame, rev, whole)

    def _feed_is_another(self, frame: Frame) -> bool:
        """Whether a client that comes back is told so: what it has seen proves nothing, not even the end."""
        epochs = {identity.partition(".")[0] for identity in (frame.id, self._cursor) if identity}
        return frame.event == "resync" and self._allowed.resync and len(epochs) > 1

    def _progress(self, frame: Frame, rev: int, percent: float, at: str) -> None:
        if self._state is not None:
            self._say("after-end", "progress after the terminal event")
        if frame.id is not None:
            self._say("progress", f"progress has the id {frame.id}")
        if rev != self._rev:
            self._say("progress", f"progress of revision {rev} after {self._rev}")
        if percent < self._percent and not (self._came_back and self._allowed.undone_report(self._percent_at)):
            self._say("percent", f"percent fell from {self._percent:g} to {percent:g}")
        self._percent, self._percent_at, self._came_back = percent, at, False

    def _begin(self, frame: Frame, rev: int, job: dict[str, Any]) -> None:
        if frame.event == "resync" and not self._allowed.resync:
            self._say("resync", f"resync at {rev} after {self._rev}")
        percent = job["progress"]["percent"]
        if self._allowed.undone_ms is None and (rev < (self._rev or 0) or percent < self._percent):
            self._say("undone", f"{frame.event} at {rev}, {percent:g} % after {self._rev}, {self._percent:g} %")
        self._rev, self._percent, self._percent_at = rev, percent, None
        self._whole_state = job["state"]
        self._place = None
        self._shown = {rev: event for rev, event in self._shown.items() if not self._allowed.undone(event[1])}
        self._moves(frame.id)

    def _event(self, frame: Frame, rev: int, whole: str | None) -> None:
        repeats = whole in TERMINAL and frame.event == f"job.{whole}" and rev == self._rev
        if whole in TERMINAL and not repeats:
            self._say("begin", f"a job that is {whole} is followed by {frame.event} {rev}")
        elif not repeats and rev <= (self._rev or 0):
            self._say("duplicate", f"{frame.event} {rev} after {self._rev}")
        elif not repeats and rev != (self._rev or 0) + 1:
            self._say("gap", f"{frame.event} {rev} after {self._rev}")
        self._rev = rev
        if frame.event in TERMINAL_EVENTS:
            self._state = frame.event.removeprefix("job.")
        if self._moves(frame.id, again=repeats) and self._place is not None:
            _, milliseconds, sequence = self._place
            self._shown[rev] = (frame.event, milliseconds, sequence)
            self._shown_ms = milliseconds

    def _moves(self, identity: str | None, *, again: bool = False) -> bool:
        """Takes the id of a durable event as the client's cursor: it is one, and lies behind the last one."""
        match = ID.fullmatch(identity or "")
        if match is None:
            self._say("id", f"{identity} is no id")
            return False
        place = (match[1], int(match[2]), int(match[3]))
        before = self._place
        if before is not None and (place[0] != before[0] or not (place > before or (again and place == before))):
            self._say("id", f"{identity} follows {before}")
        self._place = place
        self._cursor = identity
        return True


def milliseconds_of(text: str) -> int:
    """Of a time as the gateway writes it."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
