"""What the routes of events say of themselves."""

import msgspec

from gateway.http.requests import LAST_EVENT_ID
from gateway.jobs.documents import ProgressDocument
from gateway.jobs.operations import A_JOB, AN_OUTPUT, COMPLETED, JOB, RUNNING
from gateway.openapi.operation import Answer, Content, Operation
from gateway.streams.documents import (
    AnyEvent,
    EndEvent,
    EventsPage,
    HeartbeatEvent,
    JobCompleted,
    JobQueued,
    JobsSnapshotEvent,
    OutputsData,
    ProgressData,
    ProgressEvent,
    ReconnectEvent,
    SnapshotEvent,
    StageData,
)
from gateway.streams.framing import frame, prime
from gateway.streams.requests import TenantTimelineQuery, TimelineQuery

TAG = "Events"
_EPOCH = "2m4k8r1p"
_AT = "2026-01-31T12:00:31.800Z"
_QUEUED = JobQueued(id=f"{_EPOCH}.1769860800250-0", job=A_JOB, rev=1, at=_AT, data=StageData("ingest"))
_COMPLETED = JobCompleted(id=f"{_EPOCH}.1769860831800-0", job=A_JOB, rev=9, at=_AT, data=OutputsData((AN_OUTPUT,)))
_SNAPSHOT = SnapshotEvent(
    type="snapshot", id=f"{_EPOCH}.1769860815100-0", job=A_JOB, rev=6, at="2026-01-31T12:00:15.100Z", data=RUNNING
)
_PROGRESS = ProgressEvent(
    id=None,
    job=A_JOB,
    rev=6,
    at="2026-01-31T12:00:21.100Z",
    data=ProgressData(ProgressDocument(63.0, "transcode", eta_s=7.5, speed=38.4), None),
)
_TOLD = (
    prime(3471, f"{_EPOCH}.0-0")
    + frame("snapshot", msgspec.json.encode(_SNAPSHOT), _SNAPSHOT.id)
    + frame("job.progress", msgspec.json.encode(_PROGRESS))
    + frame("job.completed", msgspec.json.encode(_COMPLETED), _COMPLETED.id)
    + frame("end", msgspec.json.encode(EndEvent(A_JOB, COMPLETED.state)))
)
_COMMON = {
    "job.*": AnyEvent,
    "job.progress": ProgressEvent,
    "heartbeat": HeartbeatEvent,
    "reconnect": ReconnectEvent,
}
_JOB_STREAM = Content(
    str,
    "text/event-stream",
    examples={"a job that completes": _TOLD.decode()},
    events={"snapshot": SnapshotEvent, "resync": SnapshotEvent, **_COMMON, "end": EndEvent},
)
_TENANT_STREAM = Content(
    str, "text/event-stream", events={"snapshot": JobsSnapshotEvent, "resync": JobsSnapshotEvent, **_COMMON}
)
_TIMELINE = Content(EventsPage, examples={"the whole timeline": EventsPage((_QUEUED, _COMPLETED), None)})

JOB_EVENTS = Operation(
    name="readEvents",
    tag=TAG,
    summary="Watch a job, or read its timeline",
    description="""Server-Sent Events with `Accept: text/event-stream`, otherwise a page of the durable events.

A stream begins with `snapshot` (the job as it is), or behind `Last-Event-ID` where every event since then is still
kept, or with `resync` (like `snapshot`) where not: never with a part. Durable events carry an id and are told exactly
once; `job.progress` has none, is conflated for slow readers and never replayed. After the terminal event come `end` and
the end of the stream. `reconnect` asks to come back: the connection has lived long enough, or the server is being
stopped, has too many streams (also the first answer, with 200, since an EventSource never retries anything else) or
cannot reach its store. Who comes back with the id of the terminal event gets 204, at which an EventSource stops. A
stream takes neither `after` nor `limit`.""",
    path=(JOB,),
    query=TimelineQuery,
    headers=(LAST_EVENT_ID,),
    answers=(
        Answer(200, "The stream, or one page of the timeline.", (_TIMELINE, _JOB_STREAM)),
        Answer(204, "Nothing more will come: `Last-Event-ID` is the terminal event."),
    ),
    problems=("INVALID_PARAMETER", "INVALID_CURSOR", "JOB_NOT_FOUND", "EVENTS_GONE", "STORE_UNAVAILABLE"),
)
TENANT_EVENTS = Operation(
    name="readAllEvents",
    tag=TAG,
    summary="Watch all jobs, or read what happened to them",
    description="As for one job, in the order in which things happened, without an end. `snapshot` and `resync` hold "
    "the newest 100 jobs. With `tag` only what happens to jobs that carry it. A stream takes neither `after` nor "
    "`limit`.",
    query=TenantTimelineQuery,
    headers=(LAST_EVENT_ID,),
    answers=(Answer(200, "The stream, or one page of the timeline.", (_TIMELINE, _TENANT_STREAM)),),
    problems=("INVALID_PARAMETER", "INVALID_CURSOR", "EVENTS_GONE", "STORE_UNAVAILABLE"),
)
