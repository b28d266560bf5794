"""Limits of tenants."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence
from tests.faults.history import Sample
from tests.faults.house.times import TENANT_LIMITS

Found = tuple[str, str | None]


def limits_kept(evidence: Evidence) -> Iterator[Found]:
    """At no moment that was looked at had a tenant more jobs under way, or running, than its limit."""
    sampled = set()
    for sample in evidence.all(Sample):
        sampled.add(sample.tenant)
        if sample.slots > sample.limit or sample.running > sample.limit:
            held = f"{sample.slots} slots and {sample.running} running jobs"
            yield f"{sample.tenant} had {held} at a limit of {sample.limit}, at {sample.at_s:.3f}", None
        if sample.limit != TENANT_LIMITS.get(sample.tenant, sample.limit):
            yield f"{sample.tenant} had a limit of {sample.limit}", None
    busy = {job.tenant for number, job in evidence.planned.items() if number in evidence.submissions}
    for tenant in sorted((busy & TENANT_LIMITS.keys()) - sampled):
        yield f"nobody looked at {tenant}, which has a limit", None
