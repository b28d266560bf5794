"""Replays random histories against the model and the scripts, and repairs random damage on the way."""

import asyncio
from typing import Any, Literal

import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors.kernel import (
    TERMINAL,
    Beat,
    Commit,
    Fail,
    Keeper,
    KernelOptions,
    Partitions,
    RedisOptions,
    Release,
    State,
    Submission,
    Submitter,
    Worker,
    connect,
    read_job,
    read_log,
)
from actors.kernel.scripts import text
from tests.model import Model

STAGES = ("a", "b")
OPTIONS = KernelOptions(lease_s=60)
JOBS = [f"j00-{letter}" for letter in "pqrst"]
BODY = b"{}"


class Histories(RuleBasedStateMachine):
    """One history on one empty database."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys("00")
        self.client: redis.asyncio.Redis = connect(RedisOptions(url=self.url))
        self.submitter = Submitter(self.client, self.partitions, OPTIONS)
        self.worker = Worker(self.client, self.partitions, OPTIONS, "w")
        self.keeper = Keeper(self.client, self.partitions, OPTIONS)
        self.model = Model()
        self.fences: list[tuple[str, str]] = []
        """Every fence ever granted."""
        self.takes: list[tuple[str, str, int]] = []
        self.wait(self.client.flushall())

    def wait(self, call: Any) -> Any:
        async def answered() -> Any:
            return await call

        return self.loop.run_until_complete(answered())

    def teardown(self) -> None:
        self.wait(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        for job in JOBS[:3]:
            self.submit(job, "a")
            self.take("a", 1)

    @rule(job=st.sampled_from(JOBS), stage=st.sampled_from(STAGES))
    def submit(self, job: str, stage: str) -> None:
        submission = Submission(tenant="default", stage=stage, spec=BODY, input=BODY, job=job)
        assert self.wait(self.submitter.submit(submission)).outcome == self.model.submit(job, stage)

    def _take(self, stage: str, nonce: str, want: int) -> None:
        inboxes = [self.keys.inbox(stage, "cpu", name) for name in ("again", "high", "normal", "low")]
        taken = self.wait(self.worker.take("00", inboxes, want, nonce))
        granted = [(grant.job, grant.fence) for grant in taken.grants]
        self.model.check_take(stage, want, nonce, granted)
        self.fences += [fence for fence in granted if fence not in self.fences]

    @precondition(lambda self: self._of_state(State.QUEUED))
    @rule(data=st.data(), want=st.integers(1, 3))
    def take_something(self, data: st.DataObject, want: int) -> None:
        job = data.draw(st.sampled_from(self._of_state(State.QUEUED)))
        self.take(self.model.jobs[job].stage, want)

    @rule(stage=st.sampled_from(STAGES), want=st.integers(1, 3))
    def take(self, stage: str, want: int) -> None:
        nonce = f"n{len(self.takes)}"
        self.takes.append((stage, nonce, want))
        self._take(stage, nonce, want)

    @precondition(lambda self: self.takes)
    @rule(data=st.data())
    def take_again_after_a_lost_reply(self, data: st.DataObject) -> None:
        stage, nonce, want = data.draw(st.sampled_from(self.takes))
        if nonce in self.model.granted:
            self._take(stage, nonce, want)

    def _drawn(self, data: st.DataObject) -> list[tuple[str, str]]:
        # Mostly fences that hold or have just been lost, since most of the others are refused in the same way.
        latest = [(job.id, job.fence) for job in self.model.jobs.values() if job.fence]
        standing = [(job.id, job.fence) for job in self.model.jobs.values() if job.state == State.RUNNING]
        unknown = [("j00-unknown", "1.x"), (JOBS[0], "7.never")]
        pools = [pool for pool in (standing, standing, latest, self.fences, unknown) if pool]
        pool = data.draw(st.sampled_from(pools))
        return data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))

    @rule(data=st.data(), percent=st.none() | st.integers(0, 100))
    def beat(self, data: st.DataObject, percent: int | None) -> None:
        items = self._drawn(data)
        statuses = self.wait(self.worker.beat("00", [Beat(job, fence, percent) for job, fence in items]))
        assert statuses == [self.model.beat(job, fence, percent) for job, fence in items]

    @rule(data=st.data(), following=st.none() | st.sampled_from(STAGES))
    def commit(self, data: st.DataObject, following: str | None) -> None:
        items = self._drawn(data)
        kind: Literal["next", "done"] = "next" if following else "done"
        commits = [Commit(job, fence, kind, following or "", "cpu", BODY) for job, fence in items]
        statuses = self.wait(self.worker.commit("00", commits))
        assert statuses == [self.model.commit(job, fence, following) for job, fence in items]

    @rule(
        data=st.data(),
        cls=st.sampled_from(["transient", "stalled", "throttled", "permanent"]),
        budget=st.integers(1, 3),
    )
    def fail(self, data: st.DataObject, cls: Any, budget: int) -> None:
        items = self._drawn(data)
        fails = [Fail(job, fence, cls, 60_000, budget, BODY, b'{"code":"X"}') for job, fence in items]
        statuses = self.wait(self.worker.fail("00", fails))
        assert statuses == [self.model.fail(job, fence, cls, budget) for job, fence in items]

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        items = self._drawn(data)
        statuses = self.wait(self.worker.release("00", [Release(job, fence, BODY) for job, fence in items]))
        assert statuses == [self.model.release(job, fence) for job, fence in items]

    @rule(job=st.sampled_from(JOBS))
    def cancel(self, job: str) -> None:
        assert self.wait(self.submitter.cancel(job, "test")).outcome == self.model.cancel(job)

    def _of_state(self, *states: State) -> list[str]:
        return [job.id for job in self.model.jobs.values() if job.state in states]

    @rule(data=st.data())
    def leases_run_out(self, data: st.DataObject) -> None:
        running = self._of_state(State.RUNNING)
        lost = data.draw(st.lists(st.sampled_from(running), unique=True, min_size=1)) if running else []
        for job in lost:
            self.wait(self.client.zadd(self.keys.leases, {job: 1}))
        heard_ms = self.wait(self.keeper.server_time_ms())
        reaped = self.wait(self.keeper.reap("00", heard_ms))
        assert reaped.jobs == {job: self.model.reap(job) for job in lost}

    @rule(data=st.data())
    def delays_end(self, data: st.DataObject) -> None:
        delayed = self._of_state(State.DELAYED)
        due = data.draw(st.lists(st.sampled_from(delayed), unique=True, min_size=1)) if delayed else []
        for job in due:
            self.wait(self.client.zadd(self.keys.due, {job: 1}))
        assert sorted(self.wait(self.keeper.promote("00"))) == sorted(due)
        for job in due:
            self.model.promote(job)

    @precondition(lambda self: self._of_state(State.QUEUED, State.RUNNING, State.DELAYED))
    @rule(data=st.data())
    def deadline_passes(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self._of_state(State.QUEUED, State.RUNNING, State.DELAYED)))
        self.wait(self.client.zadd(self.keys.deadlines, {job: 1}))
        self.wait(self.keeper.expire("00"))
        self.model.expire(job)

    @rule(
        data=st.data(),
        damage=st.sampled_from(
            ["entry", "stream", "group", "consumer", "stale hint", "lease", "due", "deadline", "nothing"]
        ),
    )
    def damage_and_reconcile(self, data: st.DataObject, damage: str) -> None:
        """Hints, groups and rows may be lost at any moment; one round of `reconcile` brings them back."""
        job = data.draw(st.sampled_from(sorted(self.model.jobs)))
        inbox = self.keys.root + text(self.wait(self.client.hget(self.keys.job(job), "inbox")))
        if damage == "stale hint":
            stage = data.draw(st.sampled_from(STAGES))
            inbox = self.keys.inbox(stage, "cpu", data.draw(st.sampled_from(["again", "normal"])))
        self.wait(self._damage(damage, inbox, job))
        if damage in ("group", "stale hint"):
            # What is delivered again must start nothing that runs, and nothing of another stage.
            self.take(inbox.split(":")[3], 3)
        cursor = "0"
        while True:
            cursor, repairs = self.wait(self.keeper.reconcile("00", cursor))
            if damage == "nothing":
                assert repairs == {}, "a sound partition is left alone"
            if cursor == "0":
                break

    async def _damage(self, damage: str, inbox: str, job: str) -> None:
        match damage:
            case "entry":
                entry = await self.client.hget(self.keys.job(job), "entry")
                if entry:
                    await self.client.xdel(inbox, entry)
            case "stream":
                await self.client.delete(inbox)
            case "stale hint":
                await self.client.xadd(inbox, {"job": job})
            case "group" if await self.client.exists(inbox):
                await self.client.xgroup_destroy(inbox, "rw")
            case "consumer" if await self.client.exists(inbox) and await self.client.xinfo_groups(inbox):
                await self.client.xgroup_delconsumer(inbox, "rw", "w")
            case "lease":
                await self.client.zrem(self.keys.leases, job)
            case "due":
                await self.client.zrem(self.keys.due, job)
                if self.model.jobs[job].state == State.DELAYED:
                    # A delay that is no longer known ends at once.
                    cursor, _ = await self.keeper.reconcile("00", "0")
                    assert cursor == "0"
                    await self.keeper.promote("00")
                    self.model.promote(job)
            case "deadline" if self.model.jobs[job].state not in TERMINAL:
                await self.client.zrem(self.keys.deadlines, job)

    @invariant()
    def jobs_are_as_in_the_model(self) -> None:
        self.wait(self._compare())

    async def _compare(self) -> None:
        for job in self.model.jobs.values():
            seen = await read_job(self.client, self.partitions, job.id)
            assert seen is not None
            found = (seen.state, seen.stage, seen.fence, seen.takes, seen.attempt, seen.crashes, seen.percent)
            assert found == (job.state, job.stage, job.fence, job.takes, job.attempt, job.crashes, job.percent)
            log = await read_log(self.client, self.partitions, job.id)
            assert [entry.type for entry in log] == job.events
            assert [entry.rev for entry in log] == list(range(1, len(log) + 1))
            assert seen.last_event == log[-1].id
        members = {name: await self._members(name) for name in ("active", "leases", "due", "deadlines")}
        living = set(self._of_state(State.QUEUED, State.RUNNING, State.DELAYED))
        assert members == {
            "active": living,
            "leases": set(self._of_state(State.RUNNING)),
            "due": set(self._of_state(State.DELAYED)),
            "deadlines": set(self.model.jobs),
        }

    async def _members(self, name: str) -> set[str]:
        return {text(job) for job in await self.client.zrange(self.keys.root + name, 0, -1)}


def test_random_histories(redis_url: str) -> None:
    Histories.url = redis_url
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=100,
            stateful_step_count=60,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
