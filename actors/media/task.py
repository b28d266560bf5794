"""The bodies that travel with a job: what a client asked for and what each stage hands to the next.

They are JSON with snake_case names; unknown fields are ignored, so two versions can run side by
side. The Rust crate `media` mirrors TranscodeInput, StoreInput and Progress.
"""

from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

Span = tuple[float, float]
Spans = dict[str, Span]
"""Stage -> the part of the job's percent it covers, as (from, to) within 0..100."""

UPLOAD_PREFIX = "upload:"
BATCH = "batch"
"""The kind of a job whose spec is a BatchSpec."""
OnChildFailure = Literal["go_on", "fail"]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON body of a job. Absent optional fields are written as null."""


class Wishes(Body, frozen=True, kw_only=True):
    """What a client wants to be made of a source, after defaults. `quality` None means the format's default."""

    format: str
    quality: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    """The client's own notes. Like the tags, they change nothing about the result."""
    cache: Literal["use", "bypass"] = "use"


def wishes_of(asked: msgspec.Struct) -> dict[str, Any]:
    """The fields of `Wishes` in a spec or a request that has them all."""
    return {name: getattr(asked, name) for name in Wishes.__struct_fields__}


class JobSpec(Wishes, frozen=True, kw_only=True):
    """What the client asked for. It is the `spec` of the job's hash.

    `source` is an http(s) address or `upload:<id>`.
    """

    source: str


class BatchSpec(Wishes, frozen=True, kw_only=True):
    """The `spec` of a batch: several sources, and what to make of each of them."""

    sources: tuple[str, ...]
    on_child_failure: OnChildFailure = "go_on"
    """fail: the first job of the batch that fails ends all of them."""

    def part(self, number: int) -> JobSpec:
        """The spec of one job of the batch, numbered from 0."""
        return JobSpec(source=self.sources[number], **wishes_of(self))


class IngestInput(Body, frozen=True, kw_only=True):
    """Ingest needs nothing but the spec."""


class FetchInput(Body, frozen=True, kw_only=True):
    """What fetch needs besides the spec."""

    source: str
    spans: Spans


class SourceObject(Body, frozen=True, kw_only=True):
    """A fetched file in the work area. `path` is a storage key, `name` what people call the file."""

    path: str
    name: str
    size_bytes: int
    sha256: str


class Stream(Body, frozen=True, kw_only=True):
    """One stream of a probed file. Facts that were not measured or are unknown are None.

    `packets`, `first_pts_s`, `last_pts_s` (end of the last packet) and `largest_gap_s` come from
    reading every packet; the other fields from the headers. `rotation` is in degrees.
    """

    index: int
    kind: Literal["video", "audio", "subtitle", "data"]
    codec: str
    profile: str | None = None
    pixel_format: str | None = None
    color_transfer: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    rotation: int = 0
    sample_rate: int | None = None
    channels: int | None = None
    bit_rate: int | None = None
    attached_picture: bool = False
    default: bool = False
    packets: int | None = None
    first_pts_s: float | None = None
    last_pts_s: float | None = None
    largest_gap_s: float | None = None


class Probe(Body, frozen=True, kw_only=True):
    """What `reelway-transcode probe` found. `container` is ffmpeg's demuxer list."""

    container: str
    duration_s: float | None = None
    size_bytes: int
    streams: tuple[Stream, ...] = ()


Path = Literal["remux", "extract_audio", "transcode_single", "passthrough"]
Container = Literal["mp3", "ipod", "ogg", "flac", "wav", "mp4", "webm"]
VideoEncoder = Literal["libx264", "libvpx-vp9"]
AudioEncoder = Literal["libmp3lame", "aac", "libopus", "flac", "pcm_s16le"]


class VideoPlan(Body, frozen=True, kw_only=True):
    """What happens to the chosen video stream. `width` and `height` are even when encoding."""

    stream: int
    action: Literal["copy", "encode"]
    encoder: VideoEncoder | None = None
    width: int | None = None
    height: int | None = None
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None


class AudioPlan(Body, frozen=True, kw_only=True):
    """What happens to the chosen audio stream. None for a rate or channels keeps the source's."""

    stream: int
    action: Literal["copy", "encode"]
    encoder: AudioEncoder | None = None
    bit_rate: int | None = None
    sample_rate: int | None = None
    channels: int | None = None


class Plan(Body, frozen=True, kw_only=True):
    """One output: its container and what happens to each stream. `container` is ffmpeg's muxer."""

    path: Path
    container: Container
    extension: str
    mime: str
    file_name: str
    duration_s: float | None = None
    video: VideoPlan | None = None
    audio: AudioPlan | None = None


class TranscodeInput(Body, frozen=True, kw_only=True):
    """What transcode needs besides the spec."""

    source: SourceObject
    probe: Probe
    plan: Plan
    spans: Spans


class Codecs(Body, frozen=True, kw_only=True):
    """Codec names of an output, None for a kind it does not have."""

    video: str | None = None
    audio: str | None = None


class OutputFacts(Body, frozen=True, kw_only=True):
    """A finished file as clients see it."""

    name: str
    type: str
    size_bytes: int
    sha256: str
    duration_s: float | None = None
    codecs: Codecs = Codecs()
    width: int | None = None
    height: int | None = None


class Output(OutputFacts, frozen=True, kw_only=True):
    """A verified file in the work area; `path` is its storage key."""

    path: str


class StoreInput(Body, frozen=True, kw_only=True):
    """What store needs besides the spec. `source_name` names the result when the client did not."""

    outputs: tuple[Output, ...]
    source_name: str | None = None
    spans: Spans


class StoredOutput(OutputFacts, frozen=True, kw_only=True):
    """A published file. `file` is its name in the job's folder; `name` is only shown to people and
    may hold any printable character of Unicode."""

    file: str


class Result(Body, frozen=True, kw_only=True):
    """The `result` of a completed job: the folder in storage, and what lies in it as `path/file`."""

    path: str
    outputs: tuple[StoredOutput, ...]


class Part(Body, frozen=True, kw_only=True):
    """How one job of a batch ended."""

    job: str
    state: str


class BatchResult(Result, frozen=True, kw_only=True):
    """The `result` of a completed batch. It has no files of its own: those are its parts'."""

    parts: tuple[Part, ...]


class Manifest(Body, frozen=True, kw_only=True):
    """`manifest.json` of a published folder: the durable record of a job."""

    version: int = 1
    job: str
    tenant: str
    spec: JobSpec
    outputs: tuple[StoredOutput, ...]
    created_at: datetime


class CompletedEvent(Body, frozen=True, kw_only=True):
    """The data of `job.completed`."""

    outputs: tuple[OutputFacts, ...]


class Progress(Body, frozen=True, kw_only=True):
    """Progress of the stage that runs.

    `speed` is bytes per second in fetch and a multiple of real time in transcode.
    """

    stage: str
    eta_s: float | None = None
    speed: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


class DeliveryInput(Body, frozen=True, kw_only=True):
    """One event for one endpoint. `event` is the envelope, passed on unread."""

    endpoint: str
    url: str = ""
    event: msgspec.Raw


class ErrorBody(Body, frozen=True, kw_only=True):
    """Why a job failed, in the words of the error table."""

    code: str
    message: str
    suggestion: str
    retryable: bool


class ReasonBody(Body, frozen=True, kw_only=True):
    """Why a job does not move. `until_ms` is server time."""

    code: str
    message: str
    until_ms: int | None = None


B = TypeVar("B", bound=Body)
_encoder = msgspec.json.Encoder()


def encode(body: Body) -> bytes:
    """The JSON of a body."""
    return _encoder.encode(body)


def decode(kind: type[B], data: bytes) -> B:
    """A body from its JSON. Raises msgspec.ValidationError (a ValueError) when it does not fit."""
    return msgspec.json.decode(data, type=kind)


def upload_id(source: str) -> str | None:
    """The upload's id when the source is `upload:<id>`, else None."""
    return source.removeprefix(UPLOAD_PREFIX) if source.startswith(UPLOAD_PREFIX) else None


def as_json_object(body: Body) -> dict[str, Any]:
    """The body as plain Python data, for callers that merge it into a larger object."""
    result: dict[str, Any] = msgspec.to_builtins(body)
    return result
