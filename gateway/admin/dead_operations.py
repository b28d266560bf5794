"""What the routes of dead letters and of the quarantine say of themselves."""

import msgspec

from actors.kernel.dead import DeadGroup
from actors.kernel.replay import Replay
from gateway.admin.documents import (
    DeadCountDocument,
    DeadLetterDetailDocument,
    DeadLetterDocument,
    DeadLetterEventDocument,
    DeadPage,
    PurgedPage,
    QuarantinedDocument,
    QuarantinePage,
    RemainsDocument,
    ReplaysPage,
)
from gateway.admin.requests import (
    DeadLetterFilter,
    DeadQuery,
    PurgeBody,
    PurgeRequest,
    QuarantineQuery,
    ReplayPageRequest,
    ReplayRequest,
)
from gateway.http.problems import OF_A_JSON_BODY
from gateway.http.queries import NoQuery
from gateway.jobs.operations import A_JOB, JOB, OF_A_REPLAY
from gateway.openapi.operation import Answer, Body, Content, Operation

TAG = "Dead letters"
_AT = "2026-01-31T12:00:31.800Z"
_ERROR = msgspec.Raw(
    b'{"code":"NO_AUDIO","message":"The source has no sound.","suggestion":"Choose a source with sound, or a video '
    b'format.","retryable":false}'
)
_LETTER = DeadLetterDocument(
    job=A_JOB,
    stage="transcode",
    tenant="default",
    kind="media",
    parent=None,
    why="permanent",
    code="NO_AUDIO",
    attempt=1,
    crashes=0,
    worker="node-7-4711-k3x9",
    host="node-7",
    fence="3.k3x9q0aa",
    died_at=_AT,
    error=_ERROR,
)
_DETAIL = DeadLetterDetailDocument(
    **msgspec.structs.asdict(_LETTER),
    remains=RemainsDocument(
        lane="cpu",
        priority="normal",
        takes=3,
        percent=25.0,
        spec=msgspec.Raw(b'{"source":"https://media.example/talk.mp4","format":"mp3"}'),
        input=msgspec.Raw(b"{}"),
        refs=(f"work/{A_JOB}/2.c0ffee00",),
        created_at="2026-01-31T12:00:00.250Z",
        started_at="2026-01-31T12:00:30.100Z",
        deadline_at="2026-02-01T12:00:00.250Z",
    ),
    events=(DeadLetterEventDocument("job.failed", 7, _AT, msgspec.Raw(b'{"error":' + bytes(_ERROR) + b"}")),),
)

LISTING = Operation(
    name="listDeadLetters",
    tag=TAG,
    summary="List dead letters",
    description="Jobs that failed for good, of all tenants, newest first. A page looks at no more than 2000 letters: "
    "with a filter it can be short and still have a `next`.",
    query=DeadQuery,
    answers=(Answer(200, "One page.", (Content(DeadPage, examples={"one letter": DeadPage((_LETTER,), None)}),)),),
    problems=("INVALID_PARAMETER", "INVALID_CURSOR", "STORE_UNAVAILABLE"),
)
COUNT = Operation(
    name="countDeadLetters",
    tag=TAG,
    summary="Count dead letters",
    description="By stage, why and code; of very many the newest 10000 are looked at.",
    query=DeadLetterFilter,
    answers=(
        Answer(
            200,
            "The count.",
            (
                Content(
                    DeadCountDocument,
                    examples={
                        "one letter": DeadCountDocument(
                            rows=1,
                            matching=1,
                            complete=True,
                            newest_at=_AT,
                            groups=(DeadGroup("transcode", "permanent", "NO_AUDIO", 1),),
                        )
                    },
                ),
            ),
        ),
    ),
    problems=("INVALID_PARAMETER", "STORE_UNAVAILABLE"),
)
EXPORT = Operation(
    name="exportDeadLetters",
    tag=TAG,
    summary="Export dead letters",
    description="All of them in full, newest first: each line is what `showDeadLetter` answers.",
    query=DeadLetterFilter,
    answers=(
        Answer(
            200,
            "JSON objects, one a line.",
            (
                Content(
                    str,
                    "application/x-ndjson",
                    examples={"one letter": msgspec.json.encode(_DETAIL).decode() + "\n"},
                ),
            ),
        ),
    ),
    problems=("INVALID_PARAMETER", "STORE_UNAVAILABLE"),
)
SHOW = Operation(
    name="showDeadLetter",
    tag=TAG,
    summary="Read a dead letter",
    description="With all that is left of its job.",
    path=(JOB,),
    query=NoQuery,
    answers=(Answer(200, "The letter.", (Content(DeadLetterDetailDocument, examples={"no sound": _DETAIL}),)),),
    problems=("INVALID_PARAMETER", "JOB_NOT_FOUND", "DEAD_LETTER_NOT_FOUND", "STORE_UNAVAILABLE"),
)
REPLAY = Operation(
    name="replayJob",
    tag=TAG,
    summary="Run an ended job again",
    description="With full budgets and a new deadline, at the stage where it ended while the files it needs there "
    "still exist, otherwise from the first. Failed, cancelled and expired jobs; one that is on its way again already "
    "is no error.",
    path=(JOB,),
    query=NoQuery,
    body=Body(
        Content(ReplayRequest, examples={"to a worker of its own": ReplayRequest(worker="lab-1")}), required=False
    ),
    answers=(
        Answer(
            200,
            "It runs again.",
            (Content(Replay, examples={"replayed": Replay(A_JOB, "replayed", "queued", "here")}),),
        ),
    ),
    problems=(*OF_A_JSON_BODY, *OF_A_REPLAY),
)
REPLAY_PAGE = Operation(
    name="replayDeadLetters",
    tag=TAG,
    summary="Run a page of dead letters again",
    description="Answered when they have been replayed, after 10 s at most; go on with `next` as `cursor` until that "
    "is null. Nothing is kept between pages: one that was not answered is asked for again.",
    query=NoQuery,
    body=Body(
        Content(
            ReplayPageRequest,
            examples={
                "what fetch lost": ReplayPageRequest(filter=DeadLetterFilter(stage="fetch", why="crash_loop"), rate=5)
            },
        )
    ),
    answers=(
        Answer(
            200,
            "What became of them.",
            (
                Content(
                    ReplaysPage,
                    examples={"one job": ReplaysPage((Replay(A_JOB, "replayed", "queued", "first"),), None)},
                ),
            ),
        ),
    ),
    problems=(*OF_A_JSON_BODY, "INVALID_PARAMETER", "INVALID_CURSOR", "STORE_FULL", "STORE_UNAVAILABLE"),
)
PURGE = Operation(
    name="purgeDeadLetters",
    tag=TAG,
    summary="Give up dead letters",
    description="Those of `jobs`, or a page of a `filter`. Their files are deleted and the jobs forgotten. A job that "
    "has not ended stays.",
    query=NoQuery,
    body=Body(
        Content(
            PurgeBody,
            examples={
                "by their ids": PurgeRequest(jobs=(A_JOB,)),
                "of one tenant": PurgeRequest(filter=DeadLetterFilter(tenant="acme")),
            },
        )
    ),
    answers=(Answer(200, "Those given up.", (Content(PurgedPage, examples={"one job": PurgedPage((A_JOB,), None)}),)),),
    problems=(
        *OF_A_JSON_BODY,
        "INVALID_PARAMETER",
        "INVALID_CURSOR",
        "JOB_NOT_FOUND",
        "STORE_FULL",
        "STORE_UNAVAILABLE",
    ),
)
QUARANTINE = Operation(
    name="listQuarantined",
    tag=TAG,
    summary="List jobs that could not be read",
    description="Newest first. Their data is kept aside; nothing runs them again.",
    query=QuarantineQuery,
    answers=(
        Answer(
            200,
            "One page.",
            (
                Content(
                    QuarantinePage,
                    examples={
                        "one job": QuarantinePage(
                            (QuarantinedDocument(A_JOB, _AT, "no number: attempt", "hash", {"state": "queued"}),), None
                        )
                    },
                ),
            ),
        ),
    ),
    problems=("INVALID_PARAMETER", "INVALID_CURSOR", "STORE_UNAVAILABLE"),
)
