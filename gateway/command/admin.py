"""What the command asks of `/v1/admin`, and what it reads of the answers."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from gateway.client.documents import Failure
from gateway.command.calls import Calls

Outcome = Literal["replayed", "already", "illegal", "parent", "gone"]


class Letter(msgspec.Struct, frozen=True):
    """A dead letter; `document` is the API's, byte for byte."""

    job: str
    stage: str
    tenant: str
    kind: str
    why: str
    code: str
    attempt: int
    crashes: int
    worker: str
    host: str
    fence: str
    died_at: str
    error: Failure
    parent: str | None = None


class Letters(msgspec.Struct, frozen=True):
    """One page of dead letters, newest first."""

    dead: tuple[msgspec.Raw, ...]
    next: str | None


class Quarantined(msgspec.Struct, frozen=True):
    """A job whose data could not be read. `type` is what Redis holds in its place."""

    job: str
    at: str
    why: str
    type: str
    fields: dict[str, str]


class QuarantinedPage(msgspec.Struct, frozen=True):
    """One page of them, newest first."""

    quarantined: tuple[msgspec.Raw, ...]
    next: str | None


class Count(msgspec.Struct, frozen=True):
    """How many dead letters there are. `matching` is of those that were looked at, all of them if `complete`."""

    rows: int
    matching: int
    complete: bool
    newest_at: str | None
    groups: tuple["Group", ...]


class Group(msgspec.Struct, frozen=True):
    """How many have these in common."""

    stage: str
    why: str
    code: str
    count: int


class Replay(msgspec.Struct, frozen=True):
    """What became of one job."""

    job: str
    outcome: Outcome
    state: str
    start: Literal["here", "first"]


class Replays(msgspec.Struct, frozen=True):
    """One page of them, and the cursor of the next."""

    replays: tuple[Replay, ...]
    next: str | None


class Purged(msgspec.Struct, frozen=True):
    """One page of purged jobs, and the cursor of the next."""

    purged: tuple[str, ...]
    next: str | None


class Pause(msgspec.Struct, frozen=True):
    """Who paused a stage, when and why."""

    by: str
    at: str
    reason: str


class Stage(msgspec.Struct, frozen=True):
    """What waits and runs at one stage."""

    stage: str
    paused: Pause | None
    waiting: int
    running: int
    workers: int
    slots: int


class Worker(msgspec.Struct, frozen=True):
    """One worker."""

    name: str
    stage: str
    lane: str
    slots: int
    running: int
    draining: bool
    quarantine: str | None
    seen_at: str


class Stages(msgspec.Struct, frozen=True):
    """All stages, as they came."""

    stages: tuple[msgspec.Raw, ...]
    jobs: msgspec.Raw


class Workers(msgspec.Struct, frozen=True):
    """All workers, as they came."""

    workers: tuple[msgspec.Raw, ...]


class AdminClient:
    """Requests of an operator. All are safe to repeat."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def letters(self, parameters: Mapping[str, str]) -> Letters:
        """`GET /v1/admin/dead`: one page."""
        return msgspec.json.decode(self._get("dead", parameters), type=Letters)

    def letter(self, job: str) -> bytes:
        """`GET /v1/admin/dead/{job}`: the letter in full, as it came."""
        return self._get(f"dead/{quote(job, safe='')}", {})

    def count(self, parameters: Mapping[str, str]) -> bytes:
        """`GET /v1/admin/dead/count`, as it came."""
        return self._get("dead/count", parameters)

    def export(self, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """`GET /v1/admin/dead/export`: pieces of JSON lines."""
        return self._calls.each(self._calls.client.stream("/v1/admin/dead/export", parameters=parameters))

    def replay(self, job: str, how: Mapping[str, Any]) -> Replay:
        """`POST /v1/admin/dead/{job}/replay`."""
        return msgspec.json.decode(self._post(f"dead/{quote(job, safe='')}/replay", how), type=Replay)

    def replay_page(self, asked: Mapping[str, Any]) -> Replays:
        """`POST /v1/admin/dead/replay`: one page."""
        return msgspec.json.decode(self._post("dead/replay", asked), type=Replays)

    def purge(self, asked: Mapping[str, Any]) -> Purged:
        """`POST /v1/admin/dead/purge`: named jobs or one page."""
        return msgspec.json.decode(self._post("dead/purge", asked), type=Purged)

    def quarantined(self, parameters: Mapping[str, str]) -> QuarantinedPage:
        """`GET /v1/admin/quarantine`: one page."""
        return msgspec.json.decode(self._get("quarantine", parameters), type=QuarantinedPage)

    def stages(self) -> Stages:
        """`GET /v1/admin/stages`."""
        return msgspec.json.decode(self._get("stages", {}), type=Stages)

    def workers(self) -> Workers:
        """`GET /v1/admin/workers`."""
        return msgspec.json.decode(self._get("workers", {}), type=Workers)

    def pause(self, stage: str, reason: str) -> bytes:
        """`POST /v1/admin/stages/{stage}/pause`, as it came."""
        return self._post(f"stages/{quote(stage, safe='')}/pause", {"reason": reason})

    def resume(self, stage: str) -> bytes:
        """`POST /v1/admin/stages/{stage}/resume`, as it came."""
        return self._post(f"stages/{quote(stage, safe='')}/resume", {})

    def _get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        return self._calls.run(self._calls.client.ask("GET", f"/v1/admin/{path}", parameters=parameters))

    def _post(self, path: str, body: Mapping[str, Any]) -> bytes:
        return self._calls.run(self._calls.client.ask("POST", f"/v1/admin/{path}", body=body))
