"""What the role processes wrote into their logs at level error and above."""

from collections.abc import Iterator

import msgspec

from tests.faults.checker.evidence import Evidence

Found = tuple[str, str | None]


class Expected(msgspec.Struct, frozen=True):
    """An event that may be written while one of these faults happened in the run."""

    faults: tuple[str, ...]
    """Empty: under any fault, and without one."""
    reason: str


FULL = ("full_memory", "full_disk")
EXPECTED = {
    "stage.needs_operator": Expected(FULL, "a full disk or a full Redis is made so, and an operator is to hear of it"),
    "stage.unstoppable": Expected(
        ("freeze", "full_disk"), "a process that stood still longer than the grace finds its handler not ended yet"
    ),
}
"""By the name of the event. Whatever is not here is a violation, and so is every line that is no event at all."""
NEVER = ("stage.bug", "scripted.broken_promise")


def logs_are_clean(evidence: Evidence) -> Iterator[Found]:
    """No role writes an error that is not expected of what was done to it, no bug, and nothing that is no event."""
    happened = {fault.name for fault in evidence.faults}
    for line in evidence.leavings.log_errors:
        event, job = str(line.get("event", "")), line.get("job")
        told = job if isinstance(job, str) and job in evidence.leavings.jobs else None
        if "text" in line:
            yield f"{line.get('process')} wrote what is no event: {str(line['text'])[:300]}", None
            continue
        expected = EXPECTED.get(event)
        allowed = expected is not None and (not expected.faults or happened.intersection(expected.faults))
        if event in NEVER or not allowed:
            details = {name: value for name, value in line.items() if name not in ("event", "process", "timestamp")}
            yield f"{line.get('process')} wrote {event}: {str(details)[-600:]}", told
