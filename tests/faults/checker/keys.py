"""The table of keys of docs/operations.md as patterns, with what each needs: an owner, an end, or the right to stay."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from tests.faults.checker.evidence import Evidence
from tests.faults.checker.leftovers import named
from tests.faults.leavings import KeyFacts

Found = tuple[str, str | None]
Keeps = Literal["installation", "job", "jobs", "tenant", "life"]


class Pattern(msgspec.Struct, frozen=True):
    """Keys of one name.

    `keeps`: `installation`, it stays for ever; `job`, the job in its name exists; `jobs`, every member is a job;
    `tenant`, the tenant in its name has jobs; `life`, it ends by itself.
    """

    text: str
    type: str
    keeps: Keeps

    def match(self, key: KeyFacts) -> re.Match[str] | None:
        return re.fullmatch(self.text, key.name)


JOB = r"(?P<job>j\d\d-[0-9a-z]{26}(?:\.e?\d+)*)"
QUEUE = r"[a-z0-9]+:(?:cpu|gpu)"
TENANT = r"(?P<tenant>[^:]+)"
PATTERNS = (
    Pattern(rf"job:{JOB}", "hash", "job"),
    Pattern(rf"log:{JOB}", "list", "job"),
    Pattern(rf"kids:{JOB}", "hash", "job"),
    Pattern(rf"in:{QUEUE}:(?:high|normal|low|again|alone|@[\w-]+)", "stream", "installation"),
    Pattern("leases|due|active|deadlines|dead", "zset", "jobs"),
    Pattern(r"taken:[0-9a-f]+", "string", "life"),
    Pattern(rf"jobs:{TENANT}", "zset", "jobs"),
    Pattern(rf"ready:{QUEUE}:{TENANT}|run:{TENANT.replace('tenant', 'slots')}", "set", "jobs"),
    Pattern(rf"hold:{TENANT}", "zset", "tenant"),
    Pattern(rf"limit:{TENANT}", "string", "installation"),
    Pattern(rf"width:{QUEUE}", "string", "life"),
    Pattern(rf"clearing:in:{QUEUE}:alone", "string", "life"),
    Pattern(rf"hooks:{TENANT}", "hash", "installation"),
    Pattern(rf"idem:{TENANT}:.+", "string", "life"),
    Pattern("feed|pulse", "stream", "installation"),
    Pattern("epoch", "string", "installation"),
    Pattern(r"dead:[a-z0-9]+", "stream", "installation"),
    Pattern("quarantine", "zset", "installation"),
    Pattern("quarantined:.+", "hash|string|list|zset|set|stream", "life"),
    Pattern(r"\{sys\}:(?:meta|workers)", "hash", "installation"),
    Pattern(r"\{sys\}:present|\{sys\}:limit:.+", "zset", "installation"),
)


def keys_have_owners(evidence: Evidence) -> Iterator[Found]:
    """Every key is one of the table in docs/operations.md, of the type it says, and has an owner or an end.

    Each job has its row in `deadlines`, so that it will be forgotten, and its log.
    """
    jobs = evidence.leavings.jobs
    tenants = {facts.fields.get("tenant") for facts in jobs.values()}
    for key in evidence.leavings.keys:
        message = orphaned(key, set(jobs), tenants)
        if message:
            yield message, None
    rows = {job for key in evidence.leavings.keys if key.name == "deadlines" for job in key.members}
    for job in sorted(jobs.keys() - rows):
        yield "it has no row in deadlines, and will never be forgotten", job


def orphaned(key: KeyFacts, jobs: set[str], tenants: set[str | None]) -> str | None:
    """What is wrong with a key, given the jobs that exist and their tenants."""
    pattern, match = next(((pattern, match) for pattern in PATTERNS if (match := pattern.match(key))), (None, None))
    if pattern is None or match is None:
        return f"{named(key)} is no key of docs/operations.md"
    if key.type not in pattern.type.split("|"):
        return f"{named(key)} is a {key.type} and not a {pattern.type}"
    if pattern.keeps == "life" and key.ttl_ms <= 0:
        return f"{named(key)} has no end"
    if pattern.keeps == "job" and match["job"] not in jobs and key.ttl_ms <= 0:
        return f"{named(key)} has neither a job nor an end"
    if pattern.keeps == "tenant" and match["tenant"] not in tenants:
        return f"{named(key)} is of a tenant without jobs"
    strangers = sorted(set(key.members) - jobs) if pattern.keeps == "jobs" else []
    return f"{named(key)} names jobs that do not exist: {strangers[:3]}" if strangers else None
