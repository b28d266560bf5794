"""Published results: one a job, as its manifest says, and none that contradicts a state."""

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.storage.keys import MANIFEST
from tests.faults.checker.evidence import Evidence, events_of
from tests.faults.history import Missing
from tests.faults.leavings import JobFacts

Found = tuple[str, str | None]


def one_result(evidence: Evidence) -> Iterator[Found]:
    """P3: one result is published for a job: it completed at most once, under the path of the fence it ended under."""
    for job, facts in evidence.leavings.jobs.items():
        times = len(events_of(facts, "job.completed"))
        if times > 1:
            yield f"it completed {times} times", job
        if facts.fields.get("state") != "completed":
            if facts.fields.get("result"):
                yield f"it is {facts.fields.get('state')} and has a result", job
        elif evidence.is_media(job):
            expected = f"out/{job}/{facts.fields.get('fence')}"
            if result_of(facts).get("path") != expected:
                yield f"its result is {result_of(facts).get('path')} and it ended under {expected}", job


def manifests_agree(evidence: Evidence) -> Iterator[Found]:
    """P3: the manifest of a completed job is there, lists what its result lists, and every file has its digest.

    A manifest of a job that did not complete, or under another fence than the result's, is nowhere after the
    collector's time.
    """
    leavings = evidence.leavings
    files, named = set(leavings.files), set()
    for job, facts in leavings.jobs.items():
        if facts.fields.get("state") != "completed" or not evidence.is_media(job):
            continue
        result = result_of(facts)
        path = f"{result.get('path')}/{MANIFEST}"
        named.add(path)
        manifest = leavings.manifests.get(path)
        if manifest is None or path not in files:
            yield f"it completed, and there is no {path}", job
            continue
        if (manifest.get("job"), manifest.get("tenant")) != (job, facts.fields.get("tenant")):
            yield f"its manifest is of {manifest.get('job')}, tenant {manifest.get('tenant')}", job
        if not result.get("outputs") or manifest.get("outputs") != result["outputs"]:
            yield "its manifest lists other outputs than its result", job
        for output in result.get("outputs", []):
            file = f"{result['path']}/{output['file']}"
            if leavings.digests.get(file) != output["sha256"]:
                yield f"{file} has the digest {leavings.digests.get(file)} and not {output['sha256']}", job
    for path in sorted(files - named - results_of_lost_jobs(evidence).keys()):
        if path.endswith(f"/{MANIFEST}"):
            job = path.split("/")[1]
            state = leavings.jobs[job].fields.get("state") if job in leavings.jobs else "gone"
            yield f"there is {path}, and its job is {state} with another result or none", job


def result_of(facts: JobFacts) -> dict[str, Any]:
    """The result of a job, or nothing."""
    result: dict[str, Any] = msgspec.json.decode(facts.fields.get("result") or "{}")
    return result


def results_of_lost_jobs(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """Manifests of jobs whose submission a power failure undid after they had been published.

    To the collector they are jobs that were forgotten, whose results live on.
    """
    lost = {event.job for event in evidence.all(Missing)} - evidence.leavings.jobs.keys()
    return {
        path: manifest for path, manifest in evidence.leavings.manifests.items()
        if manifest.get("job") in lost and path.startswith(f"out/{manifest['job']}/")
    }  # fmt: skip
