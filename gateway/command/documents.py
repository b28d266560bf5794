"""What the command reads of the API's documents. Fields it does not use are left out; unknown ones are ignored."""

from typing import Literal

import msgspec

State = Literal["queued", "running", "delayed", "held", "waiting", "completed", "failed", "cancelled", "expired"]
TERMINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled", "expired"})


class Progress(msgspec.Struct, frozen=True):
    """`percent` is of the whole job; `speed` is bytes/s while fetching and × real time while transcoding."""

    percent: float = 0.0
    stage: str | None = None
    eta_s: float | None = None
    speed: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why a job does not move, or repeats a stage."""

    code: str
    message: str
    until: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why a job failed."""

    code: str
    message: str
    suggestion: str = ""
    retryable: bool = False


class Output(msgspec.Struct, frozen=True):
    """One file of the result. `url` may be relative to the server."""

    name: str
    size_bytes: int
    sha256: str
    url: str


class Job(msgspec.Struct, frozen=True):
    """A job as `GET /v1/jobs/{id}` answers it; `document` is that answer, byte for byte."""

    id: str
    state: State
    progress: Progress
    source: str | None
    """None for a batch, whose jobs have theirs."""
    format: str
    created_at: str
    stage: str | None = None
    reason: Reason | None = None
    error: Failure | None = None
    outputs: tuple[Output, ...] = ()
    document: bytes = b""


class Upload(msgspec.Struct, frozen=True):
    """A file the gateway holds."""

    id: str
    size_bytes: int


class JobList(msgspec.Struct, frozen=True):
    """One page of jobs, newest first."""

    jobs: tuple[msgspec.Raw, ...]
    next: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457)."""

    code: str
    detail: str = ""
    title: str = ""
    suggestion: str = ""


_job = msgspec.json.Decoder(Job)


def read_job(document: bytes) -> Job:
    """A job and the bytes it was read from."""
    return msgspec.structs.replace(_job.decode(document), document=bytes(document))
