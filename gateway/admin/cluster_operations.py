"""What the routes of workers, stages and tenants say of themselves."""

from gateway.admin.requests import LimitRequest, PauseRequest
from gateway.admin.stages import (
    InboxDocument,
    JobCountsDocument,
    PauseDocument,
    StageDocument,
    StagePauseDocument,
    StagesDocument,
)
from gateway.admin.tenants import TenantDocument
from gateway.admin.workers import WorkerDocument, WorkersDocument
from gateway.http.problems import OF_A_JSON_BODY
from gateway.http.queries import NoQuery
from gateway.openapi.operation import Answer, Body, Content, Operation, part

TAG = "Administration"
_STAGE = part("stage", "ingest, fetch, transcode, store or notify.", example="transcode")
_TENANT = part("tenant", "The tenant's name.", example="acme")
_PAUSED = PauseDocument("key-3f9a1c22", "2026-01-31T12:00:00.250Z", "The site asks us to wait.")
_ACME = TenantDocument(tenant="acme", partition="07", running=3, held=12, limit=20, default_limit=0)

WORKERS = Operation(
    name="listWorkers",
    tag=TAG,
    summary="List workers",
    description="Those that announced themselves lately, by stage, lane and name.",
    query=NoQuery,
    answers=(
        Answer(
            200,
            "The workers.",
            (
                Content(
                    WorkersDocument,
                    examples={
                        "one worker": WorkersDocument(
                            (
                                WorkerDocument(
                                    name="node-7-4711-k3x9",
                                    stage="transcode",
                                    lane="cpu",
                                    slots=2,
                                    running=1,
                                    draining=False,
                                    quarantine=None,
                                    host="node-7",
                                    pid=4711,
                                    version="0.1.0",
                                    started_at="2026-01-31T11:00:00.000Z",
                                    seen_at="2026-01-31T12:00:00.250Z",
                                ),
                            )
                        )
                    },
                ),
            ),
        ),
    ),
    problems=("INVALID_PARAMETER", "STORE_UNAVAILABLE"),
)
STAGES = Operation(
    name="listStages",
    tag=TAG,
    summary="List stages",
    description="What waits and runs at each stage, what is paused, and how many jobs there are. Of the inboxes, "
    "`again` came back from a lost worker, `alone` has cost two workers, the others are priorities.",
    query=NoQuery,
    answers=(
        Answer(
            200,
            "The stages.",
            (
                Content(
                    StagesDocument,
                    examples={
                        "one stage": StagesDocument(
                            JobCountsDocument(waiting=2, running=1, delayed=0, held=12, dead=1, quarantined=0),
                            (
                                StageDocument(
                                    "fetch", None, 2, 1, 1, 8, (InboxDocument("cpu", "normal", 2, oldest_s=1.5),)
                                ),
                            ),
                        )
                    },
                ),
            ),
        ),
    ),
    problems=("INVALID_PARAMETER", "STORE_UNAVAILABLE"),
)
PAUSE = Operation(
    name="pauseStage",
    tag=TAG,
    summary="Pause a stage",
    description="Nothing more is taken there; what runs goes on.",
    path=(_STAGE,),
    query=NoQuery,
    body=Body(
        Content(PauseRequest, examples={"with a reason": PauseRequest(reason="The site asks us to wait.")}),
        required=False,
    ),
    answers=(
        Answer(
            200,
            "It is paused.",
            (Content(StagePauseDocument, examples={"paused": StagePauseDocument("transcode", _PAUSED)}),),
        ),
    ),
    problems=(*OF_A_JSON_BODY, "INVALID_PARAMETER", "STAGE_NOT_FOUND", "STORE_FULL", "STORE_UNAVAILABLE"),
)
RESUME = Operation(
    name="resumeStage",
    tag=TAG,
    summary="Let a stage go on",
    description="A stage that was not paused stays as it is.",
    path=(_STAGE,),
    query=NoQuery,
    answers=(
        Answer(
            200,
            "Work is taken again.",
            (Content(StagePauseDocument, examples={"not paused": StagePauseDocument("transcode", None)}),),
        ),
    ),
    problems=("INVALID_PARAMETER", "STAGE_NOT_FOUND", "STORE_FULL", "STORE_UNAVAILABLE"),
)
SHOW_TENANT = Operation(
    name="showTenant",
    tag=TAG,
    summary="Read a tenant",
    description="How many of its jobs are under way and held, and how many may be under way. A tenant that nobody has "
    "heard of has none.",
    path=(_TENANT,),
    query=NoQuery,
    answers=(Answer(200, "The tenant.", (Content(TenantDocument, examples={"with a limit": _ACME}),)),),
    problems=("INVALID_PARAMETER", "STORE_UNAVAILABLE"),
)
CHANGE_TENANT = Operation(
    name="changeTenant",
    tag=TAG,
    summary="Set a tenant's limit",
    description="Held jobs that have room now go on at once.",
    path=(_TENANT,),
    query=NoQuery,
    body=Body(Content(LimitRequest, examples={"twenty at once": LimitRequest(limit=20)})),
    answers=(Answer(200, "The tenant.", (Content(TenantDocument, examples={"with a limit": _ACME}),)),),
    problems=(*OF_A_JSON_BODY, "INVALID_PARAMETER", "STORE_FULL", "STORE_UNAVAILABLE"),
)
