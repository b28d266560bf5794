"""Reading jobs: one hash, one listing page, one log. Reads change nothing."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec
import redis.asyncio

from actors.kernel.keys import Keys, Partitions
from actors.kernel.newest import PAGE, Place, newest_first
from actors.kernel.scripts import text
from actors.kernel.states import TERMINAL, State

LONGEST_SCAN = 2000
"""Listing rows one filtered page may look at before it answers with a cursor."""


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
    )


async def read_job(client: redis.asyncio.Redis, partitions: Partitions, job: str) -> JobView | None:
    """The job, or None. One HGETALL: the view and the `last_event` in it belong together. Raises UnknownJobId."""
    fields: dict[bytes, bytes] = await client.execute_command("HGETALL", partitions.keys_of_job(job).job(job))  # type: ignore[no-untyped-call]
    return view(job, {text(name): value for name, value in fields.items()}) if fields else None


async def read_log(client: redis.asyncio.Redis, partitions: Partitions, job: str) -> list[LogEntry]:
    """The durable events the job still keeps, oldest first. Raises UnknownJobId."""
    entries = await client.lrange(partitions.keys_of_job(job).log(job), 0, -1)
    return [msgspec.json.decode(entry, type=LogEntry) for entry in entries]


async def list_jobs(
    client: redis.asyncio.Redis,
    partitions: Partitions,
    tenant: str,
    *,
    before: str | None = None,
    limit: int = 20,
    wanted: Callable[[JobView], bool] | None = None,
) -> tuple[list[JobView], str | None]:
    """One page of a tenant's jobs, newest first, and the cursor of the next page (None: the last one).

    `before` is a cursor of an earlier page; a malformed one raises ValueError. A page of only the `wanted` jobs looks
    at no more than 2000 rows, so it can be short and still have a cursor.
    """
    keys = partitions.keys(partitions.of_tenant(tenant))
    place = None if before is None else Place.parse(before)
    found: list[JobView] = []
    async with aclosing(newest_first(client, [keys.jobs(tenant)], before=place)) as rows:
        for _ in range(LONGEST_SCAN // PAGE):
            page = await _page(rows)
            for row, fields in zip(page, await _hashes(client, keys, page), strict=True):
                seen = view(row.member, fields) if fields else None
                if seen is not None and (wanted is None or wanted(seen)):
                    if len(found) == limit:
                        return found, str(place)
                    found.append(seen)
                place = row
            if len(page) < PAGE:
                return found, None
    return found, str(place)


async def _page(rows: AsyncGenerator[Place]) -> list[Place]:
    """The next rows, at most PAGE of them."""
    page: list[Place] = []
    async for row in rows:
        page.append(row)
        if len(page) == PAGE:
            break
    return page


async def _hashes(client: redis.asyncio.Redis, keys: Keys, rows: list[Place]) -> list[dict[str, bytes]]:
    if not rows:
        return []
    async with client.pipeline(transaction=False) as pipeline:
        for row in rows:
            pipeline.hgetall(keys.job(row.member))
        replies = await pipeline.execute()
    return [{text(name): value for name, value in fields.items()} for fields in replies]
