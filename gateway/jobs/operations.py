"""What the routes under `/v1/jobs` say of themselves."""

from actors.kernel.states import State
from actors.media.task import Codecs
from gateway.http.problems import OF_A_JSON_BODY
from gateway.http.queries import NoQuery
from gateway.http.requests import IDEMPOTENCY_KEY, IF_NONE_MATCH, PREFER
from gateway.http.responses import ETAG, LOCATION
from gateway.jobs.documents import OutputDocument, ProgressDocument, links
from gateway.jobs.listing import LINK
from gateway.jobs.rendering import JobDocument, JobsPage
from gateway.jobs.request import JobBody, JobRequest, JobsQuery
from gateway.openapi.operation import Answer, Body, Content, Operation, header, part

TAG = "Jobs"
A_JOB = "j00-01k9zq5w8r3v6t2yhx4n7m0pbc"
JOB = part("job", "The job's id.", example=A_JOB)
AN_OUTPUT = OutputDocument(
    name="talk.mp3",
    type="audio/mpeg",
    size_bytes=14_400_812,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    duration_s=600.03,
    codecs=Codecs(audio="mp3"),
    width=None,
    height=None,
    url=f"/v1/jobs/{A_JOB}/outputs/talk.mp3",
)
OF_A_REPLAY = (
    "INVALID_PARAMETER", "JOB_NOT_FOUND", "ILLEGAL_STATE", "PARENT_NOT_WAITING", "STORE_FULL", "STORE_UNAVAILABLE",
)  # fmt: skip
"""Problems of a request that lets a job begin again."""
_PREFERENCE_APPLIED = header(
    "Preference-Applied", "How long the answer might have waited, where it was asked to.", example="wait=20"
)


def a_job(
    rev: int, state: State, stage: str, progress: ProgressDocument, outputs: tuple[OutputDocument, ...] = ()
) -> JobDocument:
    """An example."""
    ended = state in (State.COMPLETED, State.CANCELLED)
    return JobDocument(
        id=A_JOB,
        rev=rev,
        state=state,
        stage=stage,
        progress=progress,
        reason=None,
        source="https://media.example/talk.mp4",
        format="mp3",
        quality="192k",
        tags=("talks",),
        metadata={"order": "4711"},
        outputs=outputs,
        error=None,
        parent=None,
        children=None,
        created_at="2026-01-31T12:00:00.250Z",
        updated_at="2026-01-31T12:00:31.800Z",
        expires_at="2026-02-07T12:00:31.800Z" if ended else None,
        deadline_at="2026-02-01T12:00:00.250Z",
        cancel_requested_at="2026-01-31T12:00:31.700Z" if state == State.CANCELLED else None,
        links=links(A_JOB, can_be_retried=state == State.CANCELLED, parent="", is_batch=False),
    )


QUEUED = a_job(1, State.QUEUED, "ingest", ProgressDocument(0.0, "ingest"))
RUNNING = a_job(6, State.RUNNING, "transcode", ProgressDocument(41.5, "transcode", eta_s=12.0, speed=38.2))
COMPLETED = a_job(9, State.COMPLETED, "store", ProgressDocument(100.0, "store"), (AN_OUTPUT,))
CANCELLED = a_job(5, State.CANCELLED, "fetch", ProgressDocument(12.0, "fetch"))

SUBMIT = Operation(
    name="submitJob",
    tag=TAG,
    summary="Submit a job",
    description="The job is accepted when this is answered, and is not lost after that. Unknown fields are refused; "
    "all wrong fields are named at once. The same request under the same Idempotency-Key gets the job that it made "
    "first, as it is now; what counts is what is asked for, not how the JSON is spelled.",
    query=NoQuery,
    headers=(IDEMPOTENCY_KEY,),
    body=Body(
        Content(
            JobBody,
            examples={
                "an address to mp3": JobRequest(source="https://media.example/talk.mp4", format="mp3", quality="192k"),
                "an upload, later": JobRequest(
                    source="upload:u00-01k9zq5w8r3v6t2yhx4n7m0pbc",
                    format="mp4",
                    quality="720p",
                    tags=("talks", "2026"),
                    metadata={"order": "4711"},
                    priority="low",
                    delay_s=3600,
                ),
                "a batch": JobRequest(
                    source=("https://media.example/one.mp4", "https://media.example/two.mp4"),
                    format="mp3",
                    on_child_failure="fail",
                ),
            },
        )
    ),
    answers=(Answer(202, "Accepted.", (Content(JobDocument, examples={"the job": QUEUED}),), (LOCATION, ETAG)),),
    problems=(
        *OF_A_JSON_BODY,
        "INVALID_PARAMETER",
        "INVALID_IDEMPOTENCY_KEY",
        "JOB_GONE",
        "UNSUPPORTED_TYPE",
        "IDEMPOTENCY_KEY_REUSED",
        "TENANT_BACKLOG",
        "SERVER_BACKLOG",
        "STORE_FULL",
        "STORE_UNAVAILABLE",
        "DISK_FULL",
    ),
    refusals=(
        "INVALID_SOURCE",
        "FORMAT_UNKNOWN",
        "QUALITY_INVALID",
        "INVALID_OPTION",
        "ADDRESS_REFUSED",
        "UPLOAD_NOT_FOUND",
    ),
)
LISTING = Operation(
    name="listJobs",
    tag=TAG,
    summary="List jobs",
    description="The tenant's jobs, newest first, or with `parent` the jobs of a batch in their order. A page looks "
    "at no more than 2000 jobs: with a filter it can be short and still have a `next`.",
    query=JobsQuery,
    answers=(
        Answer(
            200,
            "One page.",
            (Content(JobsPage, examples={"the last page": JobsPage((RUNNING, COMPLETED), None)}),),
            (LINK,),
        ),
    ),
    problems=("INVALID_PARAMETER", "INVALID_CURSOR", "JOB_NOT_FOUND", "STORE_UNAVAILABLE"),
)
SHOW = Operation(
    name="showJob",
    tag=TAG,
    summary="Read a job",
    description="With `Prefer: wait=N` the answer waits for the job's end or, with `If-None-Match`, for another "
    "revision; progress alone ends no wait. Nothing is polled.",
    path=(JOB,),
    query=NoQuery,
    headers=(PREFER, IF_NONE_MATCH),
    answers=(
        Answer(
            200,
            "The job.",
            (Content(JobDocument, examples={"running": RUNNING, "completed": COMPLETED}),),
            (ETAG, _PREFERENCE_APPLIED),
        ),
        Answer(304, "The job is as `If-None-Match` knows it.", headers=(ETAG, _PREFERENCE_APPLIED)),
    ),
    problems=("INVALID_PARAMETER", "JOB_NOT_FOUND", "STORE_UNAVAILABLE"),
)
CANCEL = Operation(
    name="cancelJob",
    tag=TAG,
    summary="Cancel a job",
    description="May be repeated. After both successes the job never completes.",
    path=(JOB,),
    query=NoQuery,
    answers=(
        Answer(200, "It is cancelled.", (Content(JobDocument, examples={"cancelled": CANCELLED}),), (ETAG,)),
        Answer(202, "Its worker is being stopped.", (Content(JobDocument, examples={"running": RUNNING}),), (ETAG,)),
    ),
    problems=("INVALID_PARAMETER", "JOB_NOT_FOUND", "ILLEGAL_STATE", "STORE_UNAVAILABLE"),
)
RETRY = Operation(
    name="retryJob",
    tag=TAG,
    summary="Begin a job again",
    description="One that ended without success, with full budgets and a new deadline: at the stage where it ended "
    "while the files that it needs there exist, otherwise at the first one. A job that is on its way already is "
    "answered the same, so a request may be repeated.",
    path=(JOB,),
    query=NoQuery,
    answers=(Answer(202, "It begins again.", (Content(JobDocument, examples={"queued": QUEUED}),), (ETAG,)),),
    problems=(*OF_A_REPLAY, "DISK_FULL"),
)
DELETE = Operation(
    name="deleteJob",
    tag=TAG,
    summary="Delete a job",
    description="With its outputs; it must have ended. Gone with the answer, and the same answer where there is no "
    "such job any more. Its Idempotency-Key makes no other job.",
    path=(JOB,),
    query=NoQuery,
    answers=(Answer(204, "It is gone."),),
    problems=("INVALID_PARAMETER", "JOB_NOT_FOUND", "ILLEGAL_STATE", "STORE_UNAVAILABLE"),
)
