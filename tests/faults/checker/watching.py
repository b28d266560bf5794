"""What watchers were shown, over all their connections: by the rules of the stream, and against what is kept.

A stream begins with a snapshot. From there on every durable event follows with the next revision, over every
reconnect, since it is made with a cursor; what cannot be continued begins anew with `resync`. Of a job that has ended
the snapshot is followed by its terminal event, under the snapshot's own revision. After the terminal event comes `end`;
only a watcher who broke off in between can see the job go on, when it is replayed.
"""

from collections.abc import Iterator

from tests.faults.checker.evidence import TERMINAL_EVENTS, Evidence
from tests.faults.history import Frame, WatcherLeft

Found = tuple[str, str | None]
WHOLE = ("snapshot", "resync")
SILENT = ("heartbeat", "reconnect")
"""Frames that tell nothing of the job."""
LATE_S = 10.0
"""How much later than it was made an event may be shown: by a gateway that stood still."""


Watched = tuple[str, str]
"""A watcher and the job: one that was lost and made again is watched anew."""


def frames_of(evidence: Evidence) -> dict[Watched, list[Frame]]:
    """What each watcher was shown of a job, in order."""
    found: dict[Watched, list[Frame]] = {}
    for frame in evidence.all(Frame):
        if frame.event not in SILENT:
            found.setdefault((frame.watcher, frame.job), []).append(frame)
    return found


def revisions_shown(evidence: Evidence) -> Iterator[Found]:
    """P4: what a watcher is shown rises by exactly one revision an event, within and across its connections.

    A lower revision comes only with `resync`, and only after a power failure that may have undone what was shown.
    """
    for (watcher, _), frames in frames_of(evidence).items():
        before: Frame | None = None
        for frame in frames:
            message = _wrong_after(evidence, before, frame)
            if message:
                yield f"{watcher}: {message}", frame.job
            if frame.event != "job.progress":
                before = frame


def percent_never_falls(evidence: Evidence) -> Iterator[Found]:
    """P4: percent never falls in what one watcher is shown: it is the job's high-water mark, through replays as well.

    Only a power failure undoes it, and then `resync` says so.
    """
    for (watcher, _), frames in frames_of(evidence).items():
        shown, shown_at_s = -1.0, 0.0
        for frame in frames:
            if frame.percent is None:
                continue
            excused = frame.event == "resync" and _undone_since(evidence, frame, shown_at_s)
            if frame.percent < shown and not excused:
                yield f"{watcher}: percent fell from {shown:g} to {frame.percent:g} with {frame.event}", frame.job
            shown, shown_at_s = frame.percent, frame.at_s


def shown_is_kept(evidence: Evidence) -> Iterator[Found]:
    """P4: a durable event that was shown is in the job's log, as it was shown, unless a power failure undid it."""
    for (watcher, _), frames in frames_of(evidence).items():
        for frame in frames:
            facts = evidence.leavings.jobs.get(frame.job)
            if (
                facts is None
                or frame.rev is None
                or not frame.event.startswith("job.")
                or frame.event == "job.progress"
            ):
                continue
            kept = next((event for event in facts.log if int(event["rev"]) == frame.rev), None)
            entry = frame.id.rpartition(".")[2] if frame.id else None
            if kept is not None and kept["type"] == frame.event and entry in (None, kept["id"]):
                continue
            if not evidence.undone(frame.job, frame.at_s - LATE_S, frame.at_s):
                found = f"{kept['type']} {kept['id']}" if kept else "nothing"
                yield (
                    f"{watcher}: it was shown {frame.event} {entry} as {frame.rev}; there is {found}",
                    frame.job,
                )


def watchers_see_ends(evidence: Evidence) -> Iterator[Found]:
    """P4: every watcher that stays sees the terminal event, and then the stream's end.

    It is told that there is no such job only when a power failure lost the submission.
    """
    frames = frames_of(evidence)
    left = {(event.watcher, event.job): event for event in evidence.all(WatcherLeft)}
    stayed: dict[int, int] = {}
    for (watcher, job), event in left.items():
        number = evidence.number_of(event.job)
        if event.how != "left" and number is not None:
            stayed[number] = stayed.get(number, 0) + 1
        if event.how == "left":
            continue
        if event.how == "run_over":
            yield f"{watcher}: its stream had not ended when the run was over", job
        elif not _saw_end(frames.get((watcher, job), [])) and not _lost(evidence, job):
            yield f"{watcher}: it was told that this is the end ({event.how}) and was never shown a terminal event", job
    for (watcher, job), shown in frames.items():
        if (watcher, job) not in left:
            yield f"{watcher}: nobody knows how its stream ended after {shown[-1].event}", job
    for number, plan in evidence.planned.items():
        expected = sum(watch.leaves_after_s is None for watch in plan.watchers)
        if number in evidence.submissions and stayed.get(number, 0) < expected:
            job = evidence.submissions[number][-1].job
            yield f"{expected} watchers were to stay to the end, and {stayed.get(number, 0)} did", job


def _wrong_after(evidence: Evidence, before: Frame | None, frame: Frame) -> str | None:
    if frame.event == "snapshot":
        return "a snapshot though it came with a cursor" if before is not None else None
    if before is None:
        return f"{frame.event} without a snapshot before it"
    if before.event == "end":
        return f"{frame.event} after the end"
    if frame.event == "resync":
        lower = (frame.rev or 0) < (before.rev or 0)
        if lower and not _undone_since(evidence, frame, before.at_s):
            return f"resync to revision {frame.rev} after {before.rev}, and no power failure undid what was between"
        return None
    if frame.event == "end":
        ended = _shows_end(before) or _lost(evidence, frame.job)
        return None if ended else f"the end after {before.event}, which is no terminal event"
    if frame.event == "job.progress":
        return (
            None if frame.rev == before.rev else f"progress of revision {frame.rev} after {before.event} {before.rev}"
        )
    return _wrong_event(before, frame)


def _wrong_event(before: Frame, frame: Frame) -> str | None:
    if before.event in WHOLE and frame.event in TERMINAL_EVENTS and frame.rev == before.rev:
        return None
    if frame.rev != (before.rev or 0) + 1:
        return f"{frame.event} has revision {frame.rev} after {before.event} {before.rev}"
    if _shows_end(before) and frame.event != "job.replayed":
        return f"{frame.event} after {before.event}, which is the end"
    if frame.event == "job.replayed" and not _shows_end(before):
        return f"job.replayed after {before.event}, which is no end"
    return None


def _shows_end(frame: Frame) -> bool:
    return frame.event in TERMINAL_EVENTS or (frame.event in WHOLE and f"job.{frame.state}" in TERMINAL_EVENTS)


def _saw_end(frames: list[Frame]) -> bool:
    durable = [frame for frame in frames if frame.event not in ("job.progress", "end")]
    return bool(durable) and _shows_end(durable[-1])


def _undone_since(evidence: Evidence, frame: Frame, seen_at_s: float) -> bool:
    """Whether what was seen then may have been undone before this frame."""
    loss = evidence.undone(frame.job, seen_at_s - LATE_S, seen_at_s)
    return loss is not None and loss.since_s <= frame.at_s


def _lost(evidence: Evidence, job: str) -> bool:
    """Whether a power failure may have undone its submission, so that there is no such job."""
    first = evidence.first_answers.get(job)
    return first is not None and evidence.undone(job, first.asked_s, first.at_s) is not None
