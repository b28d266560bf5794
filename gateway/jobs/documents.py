"""The JSON documents of a job: field for field what a client reads."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from actors.media.task import Codecs, OutputFacts
from gateway.times import Timestamp, optional_timestamp

JobId = Annotated[str, Meta(examples=["j00-01k9zq5w8r3v6t2yhx4n7m0pbc"])]
Sha256 = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]
NextPage = Annotated[str | None, Meta(description="`cursor` of the next page; null on the last one.")]


class ProgressDocument(msgspec.Struct, frozen=True):
    """How far a job is. `percent` is of the whole job and never falls; the rest describes the running stage."""

    percent: Annotated[float, Meta(ge=0, le=100)]
    stage: str | None = None
    eta_s: float | None = None
    speed: Annotated[
        float | None, Meta(description="Bytes a second while fetching, a multiple of real time while transcoding.")
    ] = None
    bytes_done: int | None = None
    bytes_total: int | None = None


class ReasonDocument(msgspec.Struct, frozen=True):
    """Why a job does not move, or repeats a stage."""

    code: Annotated[str, Meta(examples=["TENANT_LIMIT"])]
    message: str
    until: Annotated[Timestamp | None, Meta(description="When it goes on, where that is known.")] = None


class ErrorDocument(msgspec.Struct, frozen=True):
    """Why a job failed."""

    code: Annotated[str, Meta(description="Stable; docs/errors.md lists them all.", examples=["NO_AUDIO"])]
    message: str
    suggestion: Annotated[str, Meta(description="What to do.")]
    retryable: Annotated[bool, Meta(description="Whether the same job may succeed when it is sent again.")]


class OutputDocument(msgspec.Struct, frozen=True):
    """One file of the result. `url` is relative to the server."""

    name: str
    type: Annotated[str, Meta(description="Its media type.", examples=["audio/mpeg"])]
    size_bytes: int
    sha256: Sha256
    duration_s: float | None
    codecs: Codecs
    width: int | None
    height: int | None
    url: str


class OutputsDocument(msgspec.Struct, frozen=True):
    """The files of a result; none before the job has completed."""

    outputs: tuple[OutputDocument, ...]


class ChildrenDocument(msgspec.Struct, frozen=True):
    """How the jobs of a batch stand. Each counts once; `total` is their sum."""

    total: int
    open: int
    completed: int
    failed: int
    cancelled: int
    expired: int


class Links(msgspec.Struct, frozen=True):
    """Where the rest of a job is found, relative to the server; null where there is nothing."""

    self: str
    events: str
    outputs: str
    cancel: str
    retry: Annotated[str | None, Meta(description="Of a job that ended without success.")]
    parent: str | None
    children: Annotated[str | None, Meta(description="Of a batch: the list of its jobs.")]


class StoredReason(msgspec.Struct, frozen=True):
    """A reason as it is stored: actors give `until_ms`, the script that delays a job adds `until`."""

    code: str
    message: str
    until: str | None = None
    until_ms: int | None = None


class _StoredProgress(msgspec.Struct, frozen=True):
    stage: str | None = None
    eta_s: float | None = None
    speed: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


_progress = msgspec.json.Decoder(_StoredProgress)
_reason = msgspec.json.Decoder(StoredReason)


def progress_document(percent: float, stored: bytes | None, stage: str | None = None) -> ProgressDocument:
    """Progress for clients. `stored` is the JSON that the last worker reported, if any.

    With `stage`, the stage that the job is in now, what was reported in another stage is left out.
    """
    known = _progress.decode(stored) if stored else _StoredProgress()
    if stage is not None and known.stage != stage:
        return ProgressDocument(percent, stage)
    return ProgressDocument(percent, known.stage, known.eta_s, known.speed, known.bytes_done, known.bytes_total)


def reason_document(stored: bytes | StoredReason | None) -> ReasonDocument | None:
    """The reason for clients; None when there is none."""
    if not stored:
        return None
    known = stored if isinstance(stored, StoredReason) else _reason.decode(stored)
    return ReasonDocument(known.code, known.message, known.until or optional_timestamp(known.until_ms))


def output_document(job: str, facts: OutputFacts) -> OutputDocument:
    """One output for clients."""
    return OutputDocument(
        name=facts.name,
        type=facts.type,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        duration_s=facts.duration_s,
        codecs=facts.codecs,
        width=facts.width,
        height=facts.height,
        url=f"/v1/jobs/{job}/outputs/{quote(facts.name, safe='')}",
    )


def links(job: str, *, can_be_retried: bool, parent: str, is_batch: bool) -> Links:
    """The addresses around a job. `parent` is empty for a job that is part of none."""
    path = f"/v1/jobs/{job}"
    return Links(
        self=path,
        events=f"{path}/events",
        outputs=f"{path}/outputs",
        cancel=f"{path}/cancel",
        retry=f"{path}/retry" if can_be_retried else None,
        parent=f"/v1/jobs/{parent}" if parent else None,
        children=f"/v1/jobs?parent={job}" if is_batch else None,
    )
