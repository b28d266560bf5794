"""The reaper's duties besides jobs: consumers, pauses, lanes, figures, and what could not be read."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio
import structlog
from msgspec.structs import replace
from prometheus_client import REGISTRY

from actors.inboxes import LANES, inboxes
from actors.kernel import Keeper, KernelOptions, Partitions, Submission, Worker, new_nonce, read_job
from actors.kernel.consumers import IDLE_LEASES, Consumers
from actors.kernel.items import Commit, End
from actors.kernel.pauses import Pauses
from actors.kernel.presence import KEYS as PRESENCE
from actors.kernel.presence import WorkerFacts
from actors.kernel.scripts import Scripts
from actors.kernel.system_scripts import SystemScripts
from actors.reaper.lanes import LONGEST_GAP_S, Absence, Lanes
from actors.reaper.leases import Leases
from actors.reaper.pauses import PauseCopies
from actors.reaper.survey import Survey
from actors.reaper.watch import LEAST_PAUSE_S, Watch
from actors.run import STAGES
from tests.actors.reaping import SPEC, World, world
from tests.kernel.stages import eventually

__all__ = ["world"]


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


class TestLeases:
    async def test_the_next_pass_comes_when_the_first_lease_ends(self, world: World) -> None:
        watch = Watch(world.client, world.keys.leases, world.options.lease_ms)
        keeper = Keeper(world.client, world.partitions, world.options)
        leases = Leases(world.client, keeper, world.partitions, {"00": watch})
        jobs = [await world.submit() for _ in range(2)]
        for _ in jobs:
            await world.take()
        await watch.listen()
        watch.proven = True
        await leases.run("00")
        ends_ms = min([await world.client.zscore(world.keys.leases, job) or 0.0 for job in jobs])
        left_s = (ends_ms - watch.heard_ms) / 1000
        assert 0.0 < left_s <= world.options.lease_s
        assert watch.pause_s(60.0) == pytest.approx(left_s + LEAST_PAUSE_S)
        assert watch.pause_s(left_s / 2) == left_s / 2, "never later than at the usual pace"
        watch.forget()
        assert watch.pause_s(60.0) == 60.0


class TestConsumers:
    async def test_idle_ones_go_and_those_that_hold_or_ask_stay(self, world: World) -> None:
        inbox = world.keys.inbox("fetch", "cpu", "normal")
        options = KernelOptions(lease_s=0.05)
        consumers = Consumers(world.client, world.partitions, options)
        await world.submit()
        await world.take()
        for name in ("gone-1", "gone-2"):
            await work(world, name)
        assert await names(world, inbox) == {"tester", "gone-1", "gone-2"}
        assert await consumers.drop("00", inbox) == [], "none of them has been idle for long"
        await asyncio.sleep(IDLE_LEASES * options.lease_s + 0.1)  # the server's own measure of idleness cannot be set
        await work(world, "busy")
        assert sorted(await consumers.drop("00", inbox)) == ["gone-1", "gone-2"]
        assert await names(world, inbox) == {"tester", "busy"}
        pending = await world.client.xpending(inbox, "rw")
        assert pending["pending"] == 1, "the job that runs is still held"

    async def test_one_that_got_work_since_it_was_listed_stays(self, world: World) -> None:
        inbox = world.keys.inbox("fetch", "cpu", "normal")
        await world.submit()
        await world.take()
        scripts = Scripts(world.client, world.options)
        assert await scripts.call("drop_consumers", world.keys, [inbox], ["tester"]) == []
        assert await names(world, inbox) == {"tester"}

    async def test_an_inbox_that_is_not_there_is_left_alone(self, world: World) -> None:
        consumers = Consumers(world.client, world.partitions, world.options)
        assert await consumers.drop("00", world.keys.inbox("fetch", "cpu", "high")) == []
        assert await world.client.keys("*") == []

    def test_every_inbox_of_every_stage_is_known(self) -> None:
        assert set(LANES) == set(STAGES)
        keys = Partitions(1).keys("00")
        assert keys.inbox("transcode", "gpu", "alone") in inboxes(keys)
        assert len(inboxes(keys)) == 30


async def work(world: World, name: str) -> None:
    """A worker of this name takes one job and completes it."""
    worker = Worker(world.client, world.partitions, world.options, name)
    await world.submit()
    inbox = world.keys.inbox("fetch", "cpu", "normal")
    (grant,) = (await worker.take("00", [inbox], 1, new_nonce())).grants
    assert await worker.commit("00", [Commit(grant.job, grant.fence, "done", "", "", b"{}")]) == [End.OK]


async def names(world: World, inbox: str) -> set[str]:
    return {consumer["name"].decode() for consumer in await world.client.xinfo_consumers(inbox, "rw")}


class TestPauses:
    async def test_a_running_reaper_repairs_every_copy(self, world: World) -> None:
        pauses = Pauses(world.client, world.partitions)
        await pauses.pause("fetch", "ada")
        await world.reap()
        await world.client.delete("rw:{p00}:paused")
        await eventually(self.copied(pauses))
        await world.client.hset("rw:{p00}:paused", "store", "{}")
        await eventually(self.copied(pauses))
        await pauses.resume("fetch")
        await world.client.hset("rw:{p00}:paused", "fetch", "{}")
        await eventually(self.copied(pauses))

    async def test_a_pause_after_the_last_look_is_not_undone(self, world: World) -> None:
        pauses = Pauses(world.client, world.partitions)
        copies = PauseCopies(pauses)
        await copies.look()
        await pauses.pause("fetch", "ada")
        await copies.run("00")
        assert list(await pauses.copied("00")) == ["fetch"]

    @staticmethod
    def copied(pauses: Pauses) -> Callable[[], "asyncio.Future[bool]"]:
        async def equal() -> bool:
            return await pauses.copied("00") == await pauses.notes()

        return equal  # type: ignore[return-value]


class TestAbsence:
    def test_it_counts_from_the_first_answer_on(self) -> None:
        absence = Absence()
        assert [absence.hear(now_s, served=False) for now_s in (1000.0, 1005.0, 1010.0)] == [0.0, 5.0, 10.0]

    def test_a_worker_that_is_there_starts_it_anew(self) -> None:
        absence = Absence()
        absence.hear(0.0, served=False)
        assert absence.hear(5.0, served=True) == 0.0
        assert [absence.hear(now_s, served=False) for now_s in (10.0, 15.0)] == [0.0, 5.0]

    def test_time_without_answers_proves_nothing(self) -> None:
        """Redis was away: the workers could not announce themselves."""
        absence = Absence()
        absence.hear(0.0, served=False)
        later_s = 1.0 + LONGEST_GAP_S
        assert [absence.hear(now_s, served=False) for now_s in (later_s, later_s + 5.0)] == [0.0, 5.0]


class TestLanes:
    async def test_work_without_a_gpu_worker_goes_to_the_cpu_where_it_may(self, world: World) -> None:
        world.settings = replace(world.settings, reaper=replace(world.settings.reaper, rescue_s=0.3))
        may = await world.submitter.submit(self.transcode(rescue=True))
        must_not = await world.submitter.submit(self.transcode(rescue=False))
        await world.reap()
        view = await world.until(may.job, lambda view: view is not None and view.lane == "cpu")
        assert view is not None
        assert (view.state, view.crashes, view.attempt) == ("queued", 0, 0)
        worker = Worker(world.client, world.partitions, world.options, "cpu")
        inbox = world.keys.inbox("transcode", "cpu", "normal")
        assert [grant.job for grant in (await worker.take("00", [inbox], 5, new_nonce())).grants] == [may.job]
        other = await read_job(world.client, world.partitions, must_not.job)
        assert other is not None
        assert other.lane == "gpu"

    async def test_a_live_gpu_worker_keeps_its_work(self, world: World) -> None:
        world.settings = replace(world.settings, reaper=replace(world.settings.reaper, rescue_s=0.3))
        await SystemScripts(world.client).call("announce", PRESENCE, ["gpu-1", json.dumps(WORKER), 30_000])
        job = (await world.submitter.submit(self.transcode(rescue=True))).job
        with structlog.testing.capture_logs() as lines:
            await world.reap()
            gone_stale = await world.submit()
            await world.client.hset(world.keys.job(gone_stale), "entry", "1-1")
            await world.until(gone_stale, lambda _: any(line["event"] == "job.repaired" for line in lines))
        view = await read_job(world.client, world.partitions, job)
        assert view is not None
        assert view.lane == "gpu", "a round over all jobs has passed it by"

    @pytest.mark.parametrize(
        "changes", [{"draining": True}, {"quarantine": "lab"}, {"lane": "cpu"}, {"stage": "fetch"}]
    )
    def test_who_takes_nothing_from_the_lane_does_not_serve_it(self, changes: dict[str, Any]) -> None:
        lanes = Lanes(rescue_s=1e-9)
        facts = WorkerFacts(
            name="w", stage="transcode", lane="gpu", slots=1, running=0, host="h", pid=1, version="1",
            started_at_ms=0, seen_at_ms=0,
        )  # fmt: skip
        for _ in range(2):
            lanes.look([facts])
        assert not lanes.deserted
        for _ in range(2):
            lanes.look([replace(facts, **changes)])
        assert lanes.deserted == ("transcode:gpu",)

    @staticmethod
    def transcode(*, rescue: bool) -> Submission:
        return Submission(tenant="t", stage="transcode", lane="gpu", rescue=rescue, spec=SPEC, input=b"{}")


class TestSurvey:
    async def test_figures_are_sums_over_the_partitions(self, world: World) -> None:
        await world.submit()
        await world.submit()
        await world.take()
        survey = Survey(world.client, world.partitions)
        await survey.run("00")
        assert metric("reelway_jobs", state="queued") == 1
        assert metric("reelway_jobs", state="running") == 1
        assert metric("reelway_jobs", state="held") == 0
        assert metric("reelway_inbox_waiting", stage="fetch", lane="cpu", priority="normal") == 1
        age_s = metric("reelway_oldest_waiting_seconds", stage="fetch", lane="cpu")
        assert age_s is not None
        assert 0.0 <= age_s < 10.0
        await world.take()
        await survey.run("00")
        assert metric("reelway_inbox_waiting", stage="fetch", lane="cpu", priority="normal") == 0
        assert metric("reelway_oldest_waiting_seconds", stage="fetch", lane="cpu") == 0

    async def test_what_could_not_be_read_is_named_once(self, world: World) -> None:
        survey = Survey(world.client, world.partitions)
        with structlog.testing.capture_logs() as lines:
            await survey.run("00")
            await world.client.zadd("rw:{p00}:quarantine", {"j00-a": 1, "j00-b": 2})
            await survey.run("00")
            await survey.run("00")
            await world.client.zadd("rw:{p00}:quarantine", {"j00-c": 2})
            await survey.run("00")
        named = [line["job"] for line in lines if line["event"] == "job.quarantined"]
        assert named == ["j00-a", "j00-b", "j00-c"]
        assert {line["log_level"] for line in lines} == {"error"}
        assert metric("reelway_quarantined") == 3

    async def test_workers_are_counted_without_those_that_take_nothing(self, world: World) -> None:
        scripts = SystemScripts(world.client)
        for name, changes in (("a", {}), ("b", {"draining": True}), ("c", {"quarantine": "lab"}), ("d", {})):
            facts = {**WORKER, **changes}
            await scripts.call("announce", PRESENCE, [name, json.dumps(facts), 30_000])
        await world.reap()

        async def counted() -> bool:
            return metric("reelway_workers", stage="transcode", lane="gpu") == 2

        await eventually(counted)
        assert metric("reelway_worker_slots", stage="transcode", lane="gpu") == 6
        assert metric("reelway_workers", stage="transcode", lane="cpu") == 0


WORKER = {
    "stage": "transcode", "lane": "gpu", "slots": 3, "running": 0, "host": "h", "pid": 1, "version": "1",
    "uptime_ms": 0, "life_ms": 30_000,
}  # fmt: skip


class TestCost:
    @pytest.mark.parametrize("duty", ["survey", "workers"])
    async def test_reading_is_quick_however_much_there_is(self, redis_client: redis.asyncio.Redis, duty: str) -> None:
        """20 000 hints and leases, 500 workers: no script of the reaper's own comes near ten milliseconds."""
        keys = Partitions(1).keys("00")
        pipeline = redis_client.pipeline(transaction=False)
        for number in range(20_000):
            pipeline.xadd(keys.inbox("fetch", "cpu", "normal"), {"job": f"j00-{number}"})
            pipeline.zadd(keys.leases, {f"j00-{number}": number})
        for number in range(500):
            pipeline.zadd(PRESENCE[1], {f"w{number}": 10**14})
            pipeline.hset(PRESENCE[0], f"w{number}", json.dumps(WORKER))
        await pipeline.execute()
        scripts = SystemScripts(redis_client)
        call = {
            "survey": (
                [keys.leases, keys.due, keys.active, keys.dead, f"{keys.root}quarantine", *inboxes(keys)],
                list[str](),
            ),
            "workers": (list(PRESENCE), ["0"]),
        }[duty]
        await scripts.call(duty, *call)
        await redis_client.config_set("slowlog-log-slower-than", 10_000)
        await redis_client.slowlog_reset()
        for _ in range(20):
            await scripts.call(duty, *call)
        assert await redis_client.slowlog_get() == []
