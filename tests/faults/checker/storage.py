"""Files and folders that are left."""

from collections.abc import Iterator

import msgspec

from actors.storage.keys import MANIFEST
from tests.faults.checker.evidence import Evidence
from tests.faults.checker.publication import result_of, results_of_lost_jobs
from tests.faults.leavings import JobFacts
from tests.faults.plan import Media

Found = tuple[str, str | None]


def files_have_owners(evidence: Evidence) -> Iterator[Found]:
    """After the collector's time scratch folders are empty, and out/ has results of completed jobs alone.

    In work/ is only what a job without success still names in its `refs`, since a replay would go on from there.

    An upload lives for as long as the settings say; there are none where nobody uploads.
    """
    published = published_paths(evidence)
    kept = tuple(ref for facts in evidence.leavings.jobs.values() for ref in _refs(facts))
    uploads = any(isinstance(job.work, Media) and job.work.how == "upload" for job in evidence.plan.jobs)
    for path in evidence.leavings.files:
        area = path.partition("/")[0]
        if area == "uploads" and uploads:
            continue
        if path not in published and not path.startswith(kept):
            job = path.split("/")[1] if area in ("work", "out") and path.count("/") > 1 else None
            yield f"{path} is left, and nobody needs it", job if job in evidence.leavings.jobs else None


def _refs(facts: JobFacts) -> list[str]:
    if facts.fields.get("state") == "completed":
        return []
    refs: list[str] = msgspec.json.decode(facts.fields.get("refs") or "[]")
    return [ref for ref in refs if ref.startswith(f"work/{facts.job}/")]


def published_paths(evidence: Evidence) -> set[str]:
    """The files that results of completed jobs name, with their manifests."""
    paths: set[str] = set()
    for facts in evidence.leavings.jobs.values():
        if facts.fields.get("state") == "completed" and evidence.is_media(facts.job):
            result = result_of(facts)
            paths.add(f"{result.get('path')}/{MANIFEST}")
            paths.update(f"{result.get('path')}/{output['file']}" for output in result.get("outputs", []))
    for path, manifest in results_of_lost_jobs(evidence).items():
        paths.add(path)
        paths.update(f"{path.removesuffix(MANIFEST)}{output['file']}" for output in manifest["outputs"])
    return paths
