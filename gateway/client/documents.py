"""The API's documents as a client reads them. Fields that are not known here are ignored, fields that an older gateway
does not send have defaults, and states are plain text: a newer gateway may know more of them."""

import msgspec

TERMINAL = frozenset({"completed", "failed", "cancelled", "expired"})


class Progress(msgspec.Struct, frozen=True):
    """`percent` is of the whole job; `speed` is bytes/s while fetching and × real time while transcoding."""

    percent: float = 0.0
    stage: str | None = None
    eta_s: float | None = None
    speed: float | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why a job does not move, or repeats a stage. `until` is RFC 3339."""

    code: str
    message: str = ""
    until: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why a job failed."""

    code: str
    message: str = ""
    suggestion: str = ""
    retryable: bool = False


class Codecs(msgspec.Struct, frozen=True):
    """Codec names, None for what an output does not have."""

    video: str | None = None
    audio: str | None = None


class Output(msgspec.Struct, frozen=True):
    """One file of the result. `url` is relative to the gateway."""

    name: str
    size_bytes: int
    sha256: str
    url: str
    type: str = "application/octet-stream"
    duration_s: float | None = None
    codecs: Codecs = Codecs()
    width: int | None = None
    height: int | None = None


class Children(msgspec.Struct, frozen=True):
    """How the jobs of a batch stand. Each counts once."""

    total: int = 0
    open: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Times are RFC 3339; `document` is the answer it was read from, byte for byte.

    `rev` counts its durable events: one of this `rev` or a lower one is in here already.
    `source` is None for a batch, and `children` for everything else; the jobs of a batch name it as their `parent`.
    """

    id: str
    rev: int = 0
    state: str
    stage: str | None = None
    progress: Progress = Progress()
    reason: Reason | None = None
    source: str | None = None
    format: str = ""
    quality: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    outputs: tuple[Output, ...] = ()
    error: Failure | None = None
    parent: str | None = None
    children: Children | None = None
    created_at: str = ""
    updated_at: str = ""
    expires_at: str | None = None
    deadline_at: str | None = None
    cancel_requested_at: str | None = None
    # Under a name that no field of JSON has, so that no gateway can send it.
    document: bytes = msgspec.field(default=b"", name=" document")

    @property
    def ended(self) -> bool:
        """Whether it will not change any more, unless somebody has it run again."""
        return self.state in TERMINAL


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, newest first. `next` is the cursor of the page behind this one, None at the end."""

    jobs: tuple[Job, ...]
    next: str | None = None


class Upload(msgspec.Struct, frozen=True):
    """A file that the gateway holds until `expires_at`. A job names it as its source by `source`."""

    id: str
    size_bytes: int
    name: str = ""
    sha256: str = ""
    expires_at: str = ""

    @property
    def source(self) -> str:
        """The `source` of a job that is made of it."""
        return f"upload:{self.id}"


class _Rows(msgspec.Struct, frozen=True):
    jobs: tuple[msgspec.Raw, ...]
    next: str | None = None


_job = msgspec.json.Decoder(Job)
_rows = msgspec.json.Decoder(_Rows)
_upload = msgspec.json.Decoder(Upload)


def read_job(document: bytes) -> Job:
    """A job. Raises msgspec.DecodeError."""
    return msgspec.structs.replace(_job.decode(document), document=bytes(document))


def read_page(document: bytes) -> JobPage:
    """A page of jobs. Raises msgspec.DecodeError."""
    rows = _rows.decode(document)
    return JobPage(tuple(read_job(bytes(row)) for row in rows.jobs), rows.next)


def read_upload(document: bytes) -> Upload:
    """An upload. Raises msgspec.DecodeError."""
    return _upload.decode(document)
