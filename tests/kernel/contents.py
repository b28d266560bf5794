"""What Redis holds of one partition, read in one pipeline and compared with the model."""

import json
from typing import Any

import redis.asyncio

from actors.kernel.keys import PRIORITIES, Keys
from actors.kernel.scripts import text
from actors.kernel.states import TERMINAL, State
from tests.model import Job, Model
from tests.model.following import Seen
from tests.model.job import UNKNOWN


class Contents:
    """Reads one partition."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def created_ms(self, job: str) -> int:
        return int(await self._client.hget(self._keys.job(job), "created_at") or 0)

    async def seen(self, model: Model) -> dict[str, Seen]:
        """Where every job of the model waits, and its events."""
        names = [name for name in model.jobs if name not in model.broken]
        async with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(self._keys.job(name), "inbox")
                pipe.lrange(self._keys.log(name), 0, -1)
            replies = await pipe.execute(raise_on_error=False)
        return {
            name: Seen(text(replies[place * 2] or b"").rpartition(":")[2], _types(replies[place * 2 + 1]))
            for place, name in enumerate(names)
            if isinstance(replies[place * 2 + 1], list)
        }

    async def learn(self, model: Model) -> None:
        """Which priority each job was given that had its turn, and which ghosts are still counted."""
        for job in model.jobs.values():
            if job.state == State.QUEUED and job.inbox == UNKNOWN:
                inbox = text(await self._client.hget(self._keys.job(job.id), "inbox"))
                name = inbox.rpartition(":")[2]
                if name in PRIORITIES:
                    model.places.settle_inbox(job, name)
        for ghost in model.places.ghosts:
            # `reconcile` finds them where a job of the same tenant is held.
            ghost.slot = ghost.slot and bool(await self._client.sismember(self._keys.slots(ghost.tenant), ghost.id))
            ready = self._keys.ready(ghost.stage, ghost.lane, ghost.tenant)
            if ghost.in_window and not await self._client.sismember(ready, ghost.id):
                ghost.inbox = ""

    async def compare(self, model: Model) -> None:
        """Every hash, log and row is as the model says, and none is left over."""
        jobs = [job for job in model.jobs.values() if job.id not in model.broken]
        rows = ("active", "leases", "due", "deadlines")
        held, under_way, ready = _places(model)
        async with self._client.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hgetall(self._keys.job(job.id))
                pipe.lrange(self._keys.log(job.id), 0, -1)
                pipe.hgetall(self._keys.kids(job.id))
            for name in rows:
                pipe.zrange(self._keys.root + name, 0, -1)
            for tenant in held:
                pipe.zrange(self._keys.held(tenant), 0, -1)
                pipe.smembers(self._keys.slots(tenant))
            for stage, lane, tenant in ready:
                pipe.smembers(self._keys.ready(stage, lane, tenant))
            replies = iter(await pipe.execute())
        for job in jobs:
            fields = _texts(next(replies))
            _compare_job(job, fields, next(replies))
            _compare_children(job, fields, _texts(next(replies)))
        found = {name: set(map(text, next(replies))) for name in rows}
        expected = _rows(model)
        for name in rows:
            assert found[name] == expected[name], f"{name}: {found[name]} in Redis, in the model {expected[name]}"
        for tenant in held:
            turns = [turn.rpartition(" ")[2] for turn in map(text, next(replies))]
            known = [turn for turn in turns if turn in model.jobs]
            assert known == held[tenant], f"turns of {tenant}: {known}, in the model {held[tenant]}"
            slots = set(map(text, next(replies)))
            assert slots == under_way[tenant], f"slots of {tenant}: {slots}, in the model {under_way[tenant]}"
        for queue in ready:
            window = set(map(text, next(replies)))
            assert window == ready[queue], f"window {queue}: {window}, in the model {ready[queue]}"

    async def check_quiet(self, model: Model) -> None:
        """Nothing is left of jobs that have ended but what retention keeps; what was put aside may still be counted."""
        ghosts = {ghost.id for ghost in model.places.ghosts}
        for pattern in ("run:*", "ready:*"):
            async for key in self._client.scan_iter(self._keys.root + pattern):
                assert {text(name) for name in await self._client.smembers(key)} <= ghosts, key
        async for key in self._client.scan_iter(self._keys.root + "hold:*"):
            left = await self._client.zrange(key, 0, -1)
            assert {text(turn).rpartition(" ")[2] for turn in left} <= ghosts, key
        for name in ("active", "leases", "due"):
            assert await self._client.zcard(self._keys.root + name) == 0, name
        for name, job in model.jobs.items():
            ends = [event for event in job.events if event.removeprefix("job.") in TERMINAL]
            assert len(ends) == job.events.count("job.replayed") + 1, f"{name} ended {ends}"
            assert job.events[-1] == f"job.{job.state}"


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {text(name): text(value) for name, value in fields.items()}


def _compare_children(job: Job, fields: dict[str, str], kids: dict[str, str]) -> None:
    """The parent counts its closed rows, and says how many are open while it waits."""
    ends = [row.split(" ")[0] for name, row in kids.items() if name.isdecimal()]
    if not ends:
        return
    counted = {state: int(fields.get(f"kids_{state}") or 0) for state in TERMINAL}
    assert counted == {state: ends.count(state) for state in TERMINAL}, f"children of {job.id}"
    if job.state == State.WAITING:
        still = ends.count("open") + ends.count("again")
        assert json.loads(fields["reason"])["message"].startswith(f"{still} of its parts"), fields["reason"]


def _types(log: list[bytes]) -> list[str]:
    return [json.loads(entry)["type"] for entry in log]


def _compare_job(job: Job, fields: dict[str, str], log: list[bytes]) -> None:
    found = {name: fields.get(name, "") for name in ("state", "stage", "lane", "fence", "ended", "pinned")}
    expected = {name: getattr(job, name) for name in found}
    numbers = {name: int(fields.get(name) or 0) for name in ("takes", "attempt", "crashes")}
    expected |= {name: getattr(job, name) for name in numbers}
    wrong = {name: value for name, value in (found | numbers).items() if value != expected[name]}
    in_model = {name: expected[name] for name in wrong}
    assert not wrong, f"{job.id} after {_types(log)[-5:]}: {wrong} in Redis, in the model {in_model}"
    percent = float(fields.get("percent") or 0)
    if job.inexact:
        job.percent = percent
    assert abs(percent - job.percent) < 1e-3, f"percent of {job.id}: {percent}, in the model {job.percent}"
    assert (fields.get("rescue") == "1", fields.get("cancel", "") != "") == (job.rescue, job.cancel), job.id
    assert (fields.get("doomed", "") != "") == job.doomed, f"{job.id} doomed"
    if job.state == State.QUEUED:
        assert fields["entry"], job.id
        assert fields["inbox"] == f"in:{job.stage}:{job.lane}:{job.inbox}", job.id
    expected_events = job.events[job.lost_events :]
    assert _types(log) == expected_events, f"{job.id}: {_types(log)} in Redis, in the model {expected_events}"
    entries: list[dict[str, Any]] = [json.loads(entry) for entry in log]
    assert [entry["rev"] for entry in entries] == list(range(job.lost_events + 1, len(job.events) + 1)), (
        f"revisions of {job.id}"
    )
    assert (int(fields["rev"]), fields["last_event"]) == (len(job.events), entries[-1]["id"])


def _rows(model: Model) -> dict[str, set[str]]:
    return {
        "active": {job.id for job in model.living()},
        "leases": set(model.of_state(State.RUNNING)),
        "due": set(model.of_state(State.DELAYED)),
        "deadlines": set(model.jobs),
    }


def _places(model: Model) -> tuple[dict[str, list[str]], dict[str, set[str]], dict[tuple[str, str, str], set[str]]]:
    counted = list(model.places.counted())
    tenants = sorted({job.tenant for job in counted})
    queues = sorted({job.queue for job in counted})
    held = {tenant: [job.id for queue in queues for job in model.places.held(queue, tenant)] for tenant in tenants}
    under_way = {tenant: model.places.under_way(tenant) for tenant in tenants}
    ready = {(*queue, tenant): model.places.ready(queue, tenant) for queue in queues for tenant in tenants}
    return held, under_way, ready
