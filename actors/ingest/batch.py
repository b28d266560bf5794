"""A batch: one child for each of its sources. It completes when they have ended, unless none succeeded."""

from actors.kernel import Child, Done, Split, State, Task
from actors.media.errors import MediaError
from actors.media.reading import read_body
from actors.media.spec import check_batch
from actors.media.task import (
    BatchResult,
    BatchSpec,
    CompletedEvent,
    IngestInput,
    JobSpec,
    Part,
    encode,
    upload_id,
)
from actors.storage.keys import upload_folder

OPEN = "open"


async def ingest_batch(task: Task) -> Split | Done:
    """Sees to it that there are children, and waits while one of them is open; then says what came of them.

    It comes here again when they have ended, and after a replay. Spawning what exists changes nothing then, except that
    children without success begin again after a replay. The batch keeps the refs of all its uploads, so that such a
    child still finds its source.
    """
    spec = read_body(BatchSpec, task.spec)
    problems = check_batch(spec)
    if problems:
        raise problems[0].error
    parts = [spec.part(number) for number in range(len(spec.sources))]
    await task.spawn([_child(number, part) for number, part in enumerate(parts, start=1)], spec.on_child_failure)
    rows = await task.children(1, len(parts))
    if any(row.state == OPEN for row in rows):
        return Split(task.stage, encode(IngestInput()), task.refs)
    if not any(row.state == State.COMPLETED for row in rows):
        raise MediaError(
            "CHILD_FAILED",
            message="None of the jobs of this batch succeeded.",
            suggestion="Look at them for the reasons; a retry of the batch begins again with all of them.",
        )
    ended = tuple(Part(job=row.job, state=row.state) for row in rows)
    return Done(encode(BatchResult(path="", outputs=(), parts=ended)), encode(CompletedEvent(outputs=())))


def _child(number: int, spec: JobSpec) -> Child:
    upload = upload_id(spec.source)
    return Child(
        number=number,
        stage="ingest",
        spec=encode(spec),
        input=encode(IngestInput()),
        listed=True,
        refs=() if upload is None else (upload_folder(upload),),
    )
