"""What is left in Redis once everything has ended: nothing that waits, runs or is held."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence
from tests.faults.leavings import KeyFacts

Found = tuple[str, str | None]
EMPTY = ("leases", "due", "active", "quarantine", "paused")
EMPTY_BEGINNINGS = ("in:", "run:", "hold:", "ready:", "quarantined:", "{sys}:limit:")


def nothing_waits(evidence: Evidence) -> Iterator[Found]:
    """When every job has ended, inboxes and pending lists, leases, delays, slots, windows and held jobs are empty.

    Nothing is in quarantine, and everything came to rest by itself within the time it was given.
    """
    for what in evidence.leavings.unquiet:
        yield f"it did not come to rest: {what}", None
    for key in evidence.leavings.keys:
        if key.name not in EMPTY and not key.name.startswith(EMPTY_BEGINNINGS):
            continue
        if key.size or key.pending:
            yield f"{named(key)} holds {key.size} and {key.pending} pending: {list(key.members[:3])}", None


def dead_letters_agree(evidence: Evidence) -> Iterator[Found]:
    """Each failed job is a dead letter, in the index and in its stage's stream, and nothing else is."""
    failed = {job: facts for job, facts in evidence.leavings.jobs.items() if facts.fields.get("state") == "failed"}
    indexed = {job for key in evidence.leavings.keys if key.name == "dead" for job in key.members}
    for job in sorted(failed.keys() - indexed):
        yield "it failed and is not in the index of dead letters", job
    for job in sorted(indexed - failed.keys()):
        yield "it is in the index of dead letters and did not fail", job
    letters: dict[tuple[str, str], int] = {}
    for key in evidence.leavings.keys:
        if key.name.startswith("dead:") and key.size:
            letters[key.partition, key.name.removeprefix("dead:")] = key.size
    expected: dict[tuple[str, str], int] = {}
    for job, facts in failed.items():
        place = (job.partition("-")[0].removeprefix("j"), facts.fields.get("stage", ""))
        expected[place] = expected.get(place, 0) + 1
    for place in sorted(letters.keys() | expected.keys()):
        if letters.get(place, 0) != expected.get(place, 0):
            found, failures = letters.get(place, 0), expected.get(place, 0)
            yield f"dead:{place[1]} of partition {place[0]} has {found} letters for {failures} failed jobs", None


def named(key: KeyFacts) -> str:
    """A key with its partition, as messages say it."""
    return f"{key.name} of partition {key.partition}"
