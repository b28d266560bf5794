"""The keys that the run of story.py leaves."""

from collections.abc import Mapping
from typing import Any, Protocol

from tests.faults.checker.story_plan import job_id
from tests.faults.leavings import KeyFacts

OF_THE_INSTALLATION = (
    KeyFacts(partition="00", name="feed", type="stream", ttl_ms=-1, size=9),
    KeyFacts(partition="00", name="epoch", type="string", ttl_ms=-1, size=9),
    KeyFacts(partition="00", name="idem:many:k1", type="string", ttl_ms=60_000, size=90),
    KeyFacts(partition="00", name="in:step1:cpu:normal", type="stream", ttl_ms=-1, size=0),
    KeyFacts(partition="sys", name="{sys}:meta", type="hash", ttl_ms=-1, size=2, members=("format",)),
)
"""What stays when every job was forgotten."""


class Told(Protocol):
    """What is read of a job."""

    fields: dict[str, str]
    log: list[dict[str, Any]]
    kids: dict[str, str]


def keys_of(tales: Mapping[str, Told]) -> list[KeyFacts]:
    """The keys of these jobs once all have ended, and those of their installation."""
    jobs = tuple(sorted(tales))
    failed = tuple(sorted(job for job, tale in tales.items() if tale.fields["state"] == "failed"))
    rows: list[tuple[str, str, int, int, tuple[str, ...]]] = [
        ("deadlines", "zset", -1, len(jobs), jobs),
        ("jobs:many", "zset", -1, 1, (job_id(1),)),
        ("dead", "zset", -1, len(failed), failed),
        ("dead:step1", "stream", -1, len(failed), ()),
        ("in:step1:cpu:normal", "stream", -1, 0, ()),
        ("feed", "stream", -1, 50, ()),
        ("pulse", "stream", -1, 5, ()),
        ("epoch", "string", -1, 11, ()),
        ("limit:limited", "string", -1, 1, ()),
        ("width:step1:cpu", "string", 500_000, 1, ()),
        ("idem:many:k1", "string", 86_000_000, 90, ()),
        ("taken:0123456789abcdef", "string", 200_000, 40, ()),
        ("{sys}:meta", "hash", -1, 2, ("format", "partitions")),
    ]
    for job, tale in tales.items():
        rows += [
            (f"job:{job}", "hash", -1, len(tale.fields), tuple(tale.fields)),
            (f"log:{job}", "list", -1, len(tale.log), ()),
        ]
        if tale.kids:
            rows.append((f"kids:{job}", "hash", -1, len(tale.kids), tuple(tale.kids)))
    return [
        KeyFacts(partition="00", name=name, type=kind, ttl_ms=ttl_ms, size=size, members=members)
        for name, kind, ttl_ms, size, members in rows
    ]
