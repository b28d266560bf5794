"""Reading jobs: one hash, one log. Reads change nothing."""

import msgspec
import redis.asyncio

from actors.kernel.keys import Partitions
from actors.kernel.scripts import text
from actors.kernel.states import TERMINAL, State

_ENDS = tuple(sorted(TERMINAL))


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its hash says, read at one moment. Absent times and bodies are None."""

    job: str
    state: State
    stage: str
    lane: str
    priority: str
    tenant: str
    kind: str
    listed: bool
    parent: str
    """Id of the job this is a child of, or empty."""
    children: int
    """Highest number of its children."""
    children_ended: dict[State, int]
    """How many of them ended in which state, as the job knows; those that ended with it are not counted."""
    rev: int
    """Contiguous number of the last durable event."""
    last_event: str
    """Entry id of that event in the feed; the cursor that belongs to this view."""
    fence: str
    owner: str
    takes: int
    attempt: int
    crashes: int
    percent: float
    spec: bytes
    input: bytes
    refs: tuple[str, ...]
    progress: bytes | None = None
    reason: bytes | None = None
    result: bytes | None = None
    error: bytes | None = None
    deadline_ms: int
    created_at_ms: int
    updated_at_ms: int
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    cancel_requested_at_ms: int | None = None
    deleted: bool = False
    """It is being forgotten with its children, and no one's any more."""

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL


class LogEntry(msgspec.Struct, frozen=True):
    """One durable event of a job."""

    id: str
    """Entry id in the feed, without the epoch."""
    type: str
    job: str
    rev: int
    at: int
    """Server time, ms."""
    data: msgspec.Raw


def _time(fields: dict[str, bytes], name: str) -> int | None:
    value = fields.get(name)
    return int(value) if value else None


def view(job: str, fields: dict[str, bytes]) -> JobView:
    """Decodes a job hash. Fields that a job has not come to yet are absent and read as 0 or empty."""

    def said(name: str) -> str:
        return text(fields.get(name, b""))

    def number(name: str) -> int:
        return int(fields.get(name) or 0)

    return JobView(
        job=job,
        state=State(text(fields["state"])),
        stage=text(fields["stage"]),
        lane=text(fields["lane"]),
        priority=text(fields["priority"]),
        tenant=text(fields["tenant"]),
        kind=text(fields["kind"]),
        listed=fields["listed"] == b"1",
        parent=said("parent"),
        children=number("children"),
        children_ended={state: number(f"kids_{state}") for state in _ENDS} if "children" in fields else {},
        rev=int(fields["rev"]),
        last_event=text(fields["last_event"]),
        fence=said("fence"),
        owner=said("owner"),
        takes=number("takes"),
        attempt=number("attempt"),
        crashes=number("crashes"),
        percent=float(fields.get("percent") or 0),
        spec=fields["spec"],
        input=fields["input"],
        refs=msgspec.json.decode(fields["refs"], type=tuple[str, ...]),
        progress=fields.get("progress") or None,
        reason=fields.get("reason") or None,
        result=fields.get("result") or None,
        error=fields.get("error") or None,
        deadline_ms=int(fields["deadline"]),
        created_at_ms=int(fields["created_at"]),
        updated_at_ms=int(fields["updated_at"]),
        started_at_ms=_time(fields, "started_at"),
        ended_at_ms=_time(fields, "ended_at"),
        cancel_requested_at_ms=_time(fields, "cancel_requested_at"),
        deleted="deleted" in fields,
    )


async def read_job(client: redis.asyncio.Redis, partitions: Partitions, job: str) -> JobView | None:
    """The job, or None. One HGETALL: the view and the `last_event` in it belong together. Raises UnknownJobId."""
    fields: dict[bytes, bytes] = await client.execute_command("HGETALL", partitions.keys_of_job(job).job(job))  # type: ignore[no-untyped-call]
    return view(job, {text(name): value for name, value in fields.items()}) if fields else None


async def read_log(client: redis.asyncio.Redis, partitions: Partitions, job: str) -> list[LogEntry]:
    """The durable events the job still keeps, oldest first. Raises UnknownJobId."""
    entries = await client.lrange(partitions.keys_of_job(job).log(job), 0, -1)
    return [msgspec.json.decode(entry, type=LogEntry) for entry in entries]
