"""Files and folders that are left."""

from collections.abc import Iterator

from actors.storage.keys import MANIFEST
from tests.faults.checker.evidence import Evidence
from tests.faults.checker.publication import result_of
from tests.faults.plan import Media

Found = tuple[str, str | None]


def files_have_owners(evidence: Evidence) -> Iterator[Found]:
    """After the collector's time work and scratch folders are empty, and out/ has results of completed jobs alone.

    An upload lives for as long as the settings say; there are none where nobody uploads.
    """
    published = published_paths(evidence)
    uploads = any(isinstance(job.work, Media) and job.work.how == "upload" for job in evidence.plan.jobs)
    for path in evidence.leavings.files:
        area = path.partition("/")[0]
        if area == "uploads" and uploads:
            continue
        if path not in published:
            job = path.split("/")[1] if area in ("work", "out") and path.count("/") > 1 else None
            yield f"{path} is left, and nobody needs it", job if job in evidence.leavings.jobs else None


def published_paths(evidence: Evidence) -> set[str]:
    """The files that results of completed jobs name, with their manifests."""
    paths: set[str] = set()
    for facts in evidence.leavings.jobs.values():
        if facts.fields.get("state") == "completed" and evidence.is_media(facts.job):
            result = result_of(facts)
            paths.add(f"{result.get('path')}/{MANIFEST}")
            paths.update(f"{result.get('path')}/{output['file']}" for output in result.get("outputs", []))
    return paths
