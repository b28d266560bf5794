"""Random histories in which hints, rows, sets and hashes are lost or broken; `reconcile` brings them back."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from actors.kernel import Beat, Commit, Fail, Release, State
from actors.kernel.scripts import text
from tests.kernel.histories import REASON, machine_settings
from tests.kernel.in_step import BODY
from tests.kernel.test_model_families import FamilyHistories
from tests.model.items import Item

HINTS = ("entry", "stream", "group", "consumer", "stale hint")
ROWS = ("lease", "due", "deadline")


class DamagedHistories(FamilyHistories):
    """Families of two tenants, with whatever may be lost of them."""

    tenants = ("t", "u")
    limit = 2

    @precondition(lambda self: self.living())
    @rule(data=st.data(), damage=st.sampled_from(HINTS))
    def lose_hints(self, data: st.DataObject, damage: str) -> None:
        job = data.draw(st.sampled_from(self.living()))
        inbox = self.keys.root + text(self.wait(self.client.hget(self.keys.job(job), "inbox")) or b"in:a:cpu:normal")
        if damage == "stale hint":
            inbox = self.keys.inbox(
                data.draw(st.sampled_from("ab")), "cpu", data.draw(st.sampled_from(["again", "low"]))
            )
        self.wait(self._lose_hint(damage, inbox, job))
        if damage in ("group", "stale hint"):
            # What is delivered again must start nothing that runs, and nothing of another stage.
            self.following.sound = False
            self.ask(self.inboxes(inbox.split(":")[3], "cpu"), 3, 0)
        self.reconcile()
        self.following.sound = True

    async def _lose_hint(self, damage: str, inbox: str, job: str) -> None:
        match damage:
            case "entry":
                await self.client.xdel(inbox, await self.client.hget(self.keys.job(job), "entry") or "0-1")
            case "stream":
                await self.client.delete(inbox)
            case "stale hint":
                await self.client.xadd(inbox, {"job": job})
            case "group" if await self.client.exists(inbox):
                await self.client.xgroup_destroy(inbox, "rw")
            case "consumer" if await self.client.exists(inbox) and await self.client.xinfo_groups(inbox):
                await self.client.xgroup_delconsumer(inbox, "rw", "w")

    @precondition(lambda self: self.living())
    @rule(data=st.data(), damage=st.sampled_from(ROWS))
    def lose_a_row(self, data: st.DataObject, damage: str) -> None:
        job = data.draw(st.sampled_from(self.living()))
        key = {"lease": self.keys.leases, "due": self.keys.due, "deadline": self.keys.deadlines}[damage]
        lost = self.wait(self.client.zrem(key, job))
        repairs = self.reconcile()
        assert not lost or job in repairs
        if lost and damage == "deadline":
            self.model.jobs[job].expires = self.model.jobs[job].overdue
        if lost and damage == "due":
            # A delay that is no longer known ends at once.
            self.promote([job], rows=False)

    def sets(self) -> list[str]:
        """Kinds of sets that there are now."""
        jobs = self.model.jobs.values()
        there = {
            "ready": any(job.in_window for job in jobs),
            "run": any(job.slot for job in jobs),
            "hold": any(job.state == State.HELD for job in jobs),
            "kids": any(job.rows for job in jobs),
        }
        return [name for name, found in there.items() if found]

    @precondition(lambda self: bool(self.sets()))
    @rule(data=st.data())
    def lose_sets(self, data: st.DataObject) -> None:
        damage = data.draw(st.sampled_from(self.sets()))
        self.wait(self._delete(f"{damage}:*"))
        jobs = self.model.jobs.values()
        match damage:
            case "ready":
                self.model.places.forgotten = {job.id for job in jobs if job.in_window}
                self.model.places.ghosts = [ghost for ghost in self.model.places.ghosts if not ghost.in_window]
            case "run":
                for job in self.model.places.counted():
                    job.slot = job.state == State.RUNNING and job.id in self.model.jobs
            case "kids":
                for job in jobs:
                    self.model.family.blur(job.id if job.rows else "")
                    job.rows, job.base, job.reach, job.revives = {}, 0.0, 0.0, False
        self.reconcile()

    async def _delete(self, pattern: str) -> None:
        async for key in self.client.scan_iter(self.keys.root + pattern):
            await self.client.delete(key)

    @rule()
    def lose_nothing(self) -> None:
        """A sound partition is left alone."""
        self.reconcile()
        assert self.reconcile() == {}

    @precondition(lambda self: self.living(State.RUNNING))
    @rule(data=st.data(), verb=st.sampled_from(["beat", "commit", "fail", "release"]))
    def a_hash_is_broken(self, data: st.DataObject, verb: str) -> None:
        """The job is put aside; the others of the call go on."""
        job = data.draw(st.sampled_from(self.living()))
        others = [name for name in self.living(State.RUNNING) if name != job]
        self.wait(self._break(self.keys.job(job)))
        self.model.broken.add(job)
        self._send(verb, [job, *others])
        assert self.wait(self.client.zscore(f"{self.keys.root}quarantine", job)) is not None
        assert self.wait(self.client.pttl(self.keys.log(job))) > 0
        # So that a later job of this name begins with a log of its own.
        self.wait(self.client.delete(self.keys.log(job)))

    @precondition(lambda self: self.living(State.RUNNING))
    @rule(data=st.data(), verb=st.sampled_from(["fail", "release"]))
    def a_log_is_broken(self, data: st.DataObject, verb: str) -> None:
        """The log is put aside and begins anew; the call goes on, for this job as well."""
        job = data.draw(st.sampled_from(self.living(State.RUNNING)))
        self.wait(self._break(self.keys.log(job)))
        self.model.jobs[job].lost_events = len(self.model.jobs[job].events)
        self._send(verb, self.living(State.RUNNING))

    async def _break(self, key: str) -> None:
        await self.client.delete(key)
        await self.client.set(key, "broken")

    def _send(self, verb: str, names: list[str]) -> None:
        fences = [(name, self.model.jobs[name].fence) for name in names]
        worker: Any = self.worker
        match verb:
            case "beat":
                items: list[Any] = [Beat(*fence, 50) for fence in fences]
                expected = self.model.beat([(*fence, 50) for fence in fences])
            case "commit":
                items = [Commit(*fence, "next", "b", "cpu", BODY) for fence in fences]
                expected = self.model.commit([Item(*fence, "next", "b") for fence in fences])
            case "fail":
                items = [Fail(*fence, "transient", 600_000, 5, BODY, REASON) for fence in fences]
                expected = self.model.fail(fences, "transient", 5)
            case _:
                items = [Release(*fence, REASON) for fence in fences]
                expected = self.model.release(fences)
        assert self.wait(getattr(worker, verb)("00", items)) == expected


def test_damage_is_repaired(redis_url: str) -> None:
    DamagedHistories.url = redis_url
    run_state_machine_as_test(DamagedHistories, settings=machine_settings(120, 40))
