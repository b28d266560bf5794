"""Tasks for handlers, as the kernel would make them."""

from collections.abc import Sequence

import msgspec

from actors.kernel import Child, ChildRow, Grant, OnChildFailure, Task
from actors.media.spans import spans_for
from actors.media.task import FetchInput, JobSpec, Progress, encode

JOB = "j00-01jd0000000000000000000000"
FENCE = "1.0123456789abcdef"
LOOPBACK = ("127.0.0.0/8", "::1/128")


class Reports:
    """What a task reported: percent and progress, in order."""

    def __init__(self) -> None:
        self.percents: list[float] = []
        self.progress: list[Progress] = []

    def __call__(self, task: Task) -> None:
        self.percents.append(task.percent)
        self.progress.append(msgspec.json.decode(task.progress, type=Progress))


class Childless:
    """The port of a task that has no children."""

    async def spawn(self, grant: Grant, children: Sequence[Child], on_child_failure: OnChildFailure) -> None:
        raise AssertionError("no stage of ours has children")

    async def children(self, grant: Grant, first: int, count: int) -> list[ChildRow]:
        raise AssertionError("no stage of ours has children")


def make_task(
    stage: str, spec: JobSpec, body: bytes = b"{}", *, fence: str = FENCE, tenant: str = "default", kind: str = "media"
) -> tuple[Task, Reports]:
    """One grant and its reports."""
    grant = Grant(
        job=JOB, fence=fence, stage=stage, tenant=tenant, kind=kind, attempt=0, crashes=0, deadline_ms=0,
        lane="cpu", priority="normal", percent=0.0, parent="", children=0, spec=encode(spec), input=body, refs=(),
    )  # fmt: skip
    reports = Reports()
    return Task(grant, reports, Childless()), reports


def fetch_task(spec: JobSpec) -> tuple[Task, Reports]:
    """A task of the stage fetch."""
    spans = spans_for(upload=spec.source.startswith("upload:"))
    return make_task("fetch", spec, encode(FetchInput(source=spec.source, spans=spans)))
