"""Whether a watcher of many jobs was told the truth of each, all of it, once and in order. Pure, and forgives nothing.

The order is that of the feed: ids rise. A snapshot says of each job the revision it has reached, and from there on its
revisions are contiguous. Nothing follows a job's terminal event. Every job must be in the snapshots, so a test has at
most a hundred.

A snapshot is newer than its id. Whoever is cut off before its events have passed, and comes back with an older id than
theirs, is shown them although the snapshot had included them: by their revision a client knows that they are no news.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.watchers.checker import ID, TERMINAL, WHOLE, Allowed, Kept, Wrong
from tests.watchers.frames import Frame
from tests.watchers.story import Connected, Left, Story


@dataclass(slots=True)
class _Job:
    """How far a job was shown."""

    rev: int = 0
    percent: float = -1.0
    percent_at: str | None = None
    """When that was reported."""
    came_back: bool = False
    """The client has, since its progress was shown."""
    untold: bool = True
    """No event of it was shown since the snapshot."""
    state: str | None = None
    """The terminal one."""
    again: bool = False
    """What the snapshot included may be shown as events too: the client came back with an older id."""


def judge_tenant(story: Story, jobs: Collection[str], logs: Mapping[str, Kept], allowed: Allowed) -> list[Wrong]:
    """Everything that was wrong with what a watcher of these jobs was shown. `logs`: what each job's log holds."""
    reading = _Reading(story, logs, allowed)
    for item in story.items:
        reading.read(item)
    reading.close(jobs)
    return reading.found


def judge_tenants(
    stories: Iterable[tuple[Story, Collection[str]]], logs: Mapping[str, Kept], allowed: Allowed
) -> list[Wrong]:
    return [wrong for story, jobs in stories for wrong in judge_tenant(story, jobs, logs, allowed)]


class _Reading:
    """Where a reader of a story stands."""

    def __init__(self, story: Story, logs: Mapping[str, Kept], allowed: Allowed) -> None:
        self.found: list[Wrong] = []
        self._story = story
        self._logs = logs
        self._allowed = allowed
        self._jobs: dict[str, _Job] = {}
        self._cursor: str | None = None
        self._place: tuple[str, int, int] | None = None
        self._shown: dict[tuple[str, int], tuple[str, int, int]] = {}
        self._awaits: str | None = None
        self._left = False

    def read(self, item: Connected | Frame | Left) -> None:
        if isinstance(item, Connected):
            if item.cursor != self._cursor or item.answer != "stream":
                self._say("cursor", "", f"{item}; its cursor is {self._cursor}")
            self._awaits = "prime" if item.primed else self._beginning()
            for known in self._jobs.values():
                known.came_back = True
                known.again = known.untold
        elif isinstance(item, Left):
            self._left = True
        else:
            self._frame(item)

    def close(self, jobs: Collection[str]) -> None:
        for job in jobs:
            known = self._jobs.get(job)
            if not self._left and (known is None or known.state is None):
                self._say("unseen", job, f"it stayed and was never shown the end; it knows {known}")
        for (job, rev), (kind, milliseconds, sequence) in self._shown.items():
            logged, entry = self._logs.get(job, {}).get(rev), f"{milliseconds}-{sequence}"
            if logged is None or (logged.type, logged.entry) != (kind, entry):
                self._say("kept", job, f"it was shown {kind} {entry} as {rev}; the log has {logged}")

    def _say(self, rule: str, job: str, message: str) -> None:
        self.found.append(Wrong(rule, self._story.watcher, job, message))

    def _beginning(self) -> str:
        return "snapshot" if self._cursor is None or self._cursor.endswith(".0-0") else "continuation"

    def _frame(self, frame: Frame) -> None:
        if frame.event in ("heartbeat", "reconnect"):
            return
        awaits, self._awaits = self._awaits, None
        if awaits == "prime":
            own = self._cursor if self._beginning() == "continuation" else None
            if frame.event or frame.data or frame.id is None or (frame.id != own and not frame.id.endswith(".0-0")):
                self._say("prime", "", f"a stream begins with {frame}; its cursor is {self._cursor}")
            self._cursor = frame.id or self._cursor
            self._awaits = self._beginning()
            return
        if (awaits == "snapshot") != (frame.event == "snapshot"):
            self._say("begin", "", f"{frame.event} where {awaits or 'an event'} was due")
        data = frame.data or {}
        if (data.get("type"), data.get("id")) != (frame.event, frame.id):
            self._say("envelope", "", f"{frame}")
        elif frame.event in WHOLE:
            self._whole(frame, data["data"]["jobs"])
        else:
            self._tell(frame, data["job"], data["rev"], data)

    def _whole(self, frame: Frame, documents: list[dict[str, Any]]) -> None:
        if frame.event == "resync" and not self._allowed.resync:
            self._say("resync", "", f"resync at {frame.id} after {self._place}")
        before, self._jobs = self._jobs, {}
        for document in documents:
            job, rev, percent = document["id"], document["rev"], document["progress"]["percent"]
            state = document["state"] if document["state"] in TERMINAL else None
            known = before.get(job, _Job())
            went_back = rev < known.rev or percent < known.percent
            if (went_back or (known.state is not None and state != known.state)) and self._allowed.undone_ms is None:
                self._say("undone", job, f"{percent:g} %, {document['state']} after {known}")
            self._jobs[job] = _Job(rev, percent, state=state)
        self._shown = {key: event for key, event in self._shown.items() if not self._allowed.undone(event[1])}
        self._place = None
        if frame.id is not None and frame.id.endswith(".0-0"):
            self._cursor = frame.id
        else:
            self._moves("", frame.id)

    def _tell(self, frame: Frame, job: str, rev: int, data: dict[str, Any]) -> None:
        known = self._jobs.setdefault(job, _Job())
        if known.state is not None and not known.again:
            self._say("after-end", job, f"{frame.event} {rev} after job.{known.state}")
        if frame.event == "job.progress":
            percent = data["data"]["progress"]["percent"]
            if frame.id is not None or not (rev == known.rev or (known.again and rev < known.rev)):
                self._say("progress", job, f"progress of revision {rev}, id {frame.id}, after {known.rev}")
            if percent < known.percent and not (known.came_back and self._allowed.undone_report(known.percent_at)):
                self._say("percent", job, f"percent fell from {known.percent:g} to {percent:g}")
            known.percent, known.percent_at, known.came_back = percent, data["at"], False
            return
        if self._moves(job, frame.id) and self._place is not None:
            self._shown[(job, rev)] = (frame.event, *self._place[1:])
            self._order(known, job, rev)
        if known.again and rev < known.rev:
            return
        known.rev, known.untold, known.again = rev, False, False
        if frame.event.removeprefix("job.") in TERMINAL:
            known.state = frame.event.removeprefix("job.")

    def _order(self, known: _Job, job: str, rev: int) -> None:
        if rev != known.rev + 1 and not (known.again and rev <= known.rev):
            self._say("gap" if rev > known.rev else "duplicate", job, f"revision {rev} after {known.rev}")

    def _moves(self, job: str, identity: str | None) -> bool:
        """Takes the id of a durable event as the client's cursor: it is one, and lies behind the last one."""
        match = ID.fullmatch(identity or "")
        if match is None:
            self._say("id", job, f"{identity} is no id")
            return False
        place = (match[1], int(match[2]), int(match[3]))
        if self._place is not None and (place[0] != self._place[0] or place <= self._place):
            self._say("id", job, f"{identity} follows {self._place}")
        self._place = place
        self._cursor = identity
        return True
