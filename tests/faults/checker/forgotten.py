"""What is left once every job was forgotten."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence
from tests.faults.checker.keys import orphaned
from tests.faults.checker.leftovers import named
from tests.faults.checker.storage import published_paths

Found = tuple[str, str | None]
OF_JOBS = ("job:", "log:", "kids:", "jobs:", "hold:", "run:", "ready:")
LISTS_OF_JOBS = ("leases", "due", "active", "deadlines", "dead", "quarantine")


def nothing_is_kept(evidence: Evidence) -> Iterator[Found]:
    """When the time of every job is over, Redis holds what belongs to the installation and what ends by itself.

    No hash, log, row or dead letter of a job is left, and of the storage only published results and uploads, which
    have lives of their own.
    """
    for key in evidence.leavings.forgotten:
        is_list = key.name in LISTS_OF_JOBS or key.name.startswith(("dead:", "in:"))
        if key.name.startswith(OF_JOBS) or (is_list and (key.size or key.pending)):
            yield f"{named(key)} is left with {key.size} after all jobs were forgotten", None
        elif message := orphaned(key, set(), set()):
            yield f"after all jobs were forgotten: {message}", None
    published = published_paths(evidence)
    for path in evidence.leavings.forgotten_files:
        if path not in published and not path.startswith("uploads/"):
            yield f"{path} is left after all jobs were forgotten", None
    for path in sorted(published - set(evidence.leavings.forgotten_files)):
        yield f"{path} went with its job; results have a life of their own", None
