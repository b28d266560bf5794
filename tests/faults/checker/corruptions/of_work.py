"""Stages, executions and what they were charged, corrupted."""

from collections.abc import Mapping

import msgspec

from tests.faults.checker.corruptions.table import FAILED, LOSER, W0, explained, found_by
from tests.faults.checker.story import Story
from tests.faults.checker.story_plan import LOST
from tests.faults.history import ExecutionEnded, ExecutionStarted, FaultBegan, FaultEnded, Frame, WatcherLeft
from tests.faults.plan import Works


@found_by("stages_in_order")
def a_stage_is_left_out(story: Story) -> None:
    for event in story.tale(2).log:
        if event["data"].get("next") == "transcode":
            event["data"]["next"] = "store"


@found_by("stages_in_order")
def a_stage_is_committed_twice(story: Story) -> None:
    log = story.tale(5).log
    again = next(event for event in log if event["type"] == "job.stage")
    started = next(event for event in reversed(log) if event["type"] == "job.started")
    started |= {"type": "job.stage", "data": again["data"]}


@found_by("stages_in_order")
def a_stage_is_committed_without_a_start(story: Story) -> None:
    next(event for event in story.tale(2).log if event["type"] == "job.started")["type"] = "job.queued"


@found_by("chain_of_fences")
def a_result_names_a_fence_that_did_nothing(story: Story) -> None:
    story.tale(5).fields["result"] = msgspec.json.encode({"fences": ["1.n1", "3.n3"]}).decode()


@found_by("chain_of_fences")
def a_result_is_of_an_older_fence(story: Story) -> None:
    story.tale(5).fields["fence"] = "9.z"


@found_by("stages_in_order", "chain_of_fences")
def a_job_completes_before_its_last_stage(story: Story) -> None:
    steps = msgspec.to_builtins((Works(), Works(), Works()))
    story.tale(5).fields["spec"] = msgspec.json.encode({"steps": steps}).decode()


@found_by("stages_in_order")
def a_stage_follows_the_last_one(story: Story) -> None:
    tale = story.tale(4)
    _insert(tale.log, 2, {"type": "job.stage", "data": {"done": "step1", "next": "step2"}})
    tale.fields["rev"] = str(len(tale.log))


@found_by("chain_of_fences")
def a_result_names_too_few_fences(story: Story) -> None:
    story.tale(0).fields["result"] = msgspec.json.encode({"fences": ["2.n2"]}).decode()


@found_by("fences_are_unique")
def a_fence_is_granted_twice(story: Story) -> None:
    started, ended = story.of(ExecutionStarted, W0)[-1], story.of(ExecutionEnded, W0)[-1]
    story.history.append(msgspec.structs.replace(started, at_s=ended.at_s + 0.001, stage="step3"))


@found_by("started_twice")
def a_healthy_stage_is_started_twice(story: Story) -> None:
    first = story.of(ExecutionStarted, W0)[0]
    story.history.append(
        msgspec.structs.replace(first, at_s=first.at_s + 0.001, fence="9.x", pid=story.pids["scripted-2"])
    )


@found_by("started_twice")
def a_committed_stage_is_started_again(story: Story) -> None:
    first = story.of(ExecutionStarted, W0)[0]
    story.history.append(msgspec.structs.replace(first, at_s=first.at_s + 1.0, fence="9.x"))


@found_by("started_twice")
def a_lost_lease_row_starts_a_healthy_stage_twice(story: Story) -> None:
    alone(story)
    started(story, "9.a", "scripted-1")
    story.fault("delete_leases", "rw:{p00}:leases", W0)
    story.fault("restart_redis", "redis-0", lasts_s=2.0)
    story.fault("freeze_redis", "redis-0", lasts_s=4.0)
    started(story, "9.b", "scripted-2")
    finished(story)


def frozen(story: Story, lasts_s: float) -> None:
    """A stage is started beside one whose worker was stopped for so long."""
    started(story, "9.a", "scripted-1")
    story.fault("freeze", "scripted-1", lasts_s=lasts_s)
    started(story, "9.b", "scripted-2")


def started(story: Story, fence: str, process: str) -> None:
    fields = {"job": LOSER, "stage": "step2", "tenant": "many", "attempt": 0, "crashes": 0}
    story.tell(ExecutionStarted, fence=fence, pid=story.pids[process], **fields)


def alone(story: Story) -> None:
    """Job 5 has no other executions of step2, and no end that would have to follow."""
    for record in story.of(ExecutionStarted, LOSER) + story.of(ExecutionEnded, LOSER):
        if record.stage == "step2":
            story.history.remove(record)
    fences = msgspec.json.decode(story.tale(5).fields["result"])["fences"]
    story.tale(5).fields |= {"result": msgspec.json.encode({"fences": [fences[0], "9.b"]}).decode(), "fence": "9.b"}


def finished(story: Story) -> None:
    fields = {"job": LOSER, "stage": "step2", "fence": "9.b"}
    story.tell(ExecutionEnded, pid=story.pids["scripted-2"], how="done", **fields)


@explained
def a_frozen_worker_loses_its_stage(story: Story) -> None:
    alone(story)
    frozen(story, 2.0)
    finished(story)


@found_by("started_twice")
def a_short_freeze_costs_no_stage(story: Story) -> None:
    alone(story)
    frozen(story, 0.8)
    finished(story)


def heard_late(story: Story, lasts_s: float) -> None:
    """A worker is granted a stage and cannot hear it for so long; somebody else does the stage meanwhile."""
    alone(story)
    story.fault("blackhole", "scripted-1", lasts_s=lasts_s)
    done = {"job": LOSER, "stage": "step2", "fence": "9.b", "pid": story.pids["scripted-2"]}
    started(story, "9.b", "scripted-2")
    story.tell(ExecutionEnded, how="done", **done)
    started(story, "8.a", "scripted-1")
    story.tell(ExecutionEnded, how="done", **{**done, "fence": "8.a", "pid": story.pids["scripted-1"]})


@explained
def a_worker_hears_of_its_grant_when_all_is_over(story: Story) -> None:
    heard_late(story, 3.0)


@found_by("started_twice")
def a_worker_hears_of_its_grant_a_little_late(story: Story) -> None:
    heard_late(story, 0.5)


@explained
def a_power_failure_undoes_a_take(story: Story) -> None:
    alone(story)
    frozen(story, 0.0)
    started = story.of(ExecutionStarted, LOSER)[-2]
    story.power_fails(started.at_s - 0.2, started.at_s + 0.001)
    finished(story)


@found_by("no_bugs")
def a_handler_meets_what_cannot_be(story: Story) -> None:
    story.change(story.of(ExecutionEnded, FAILED)[0], how="bug")


@found_by("numbers_within_budgets", "numbers_within_budgets")
def a_stage_has_more_errors_than_its_budget(story: Story) -> None:
    tale = story.tale(6)
    failed = tale.log.pop()
    tale.event("job.retrying", error=failed["data"]["error"])
    tale.executes("step1", how="error")
    tale.fields["attempt"] = "5"
    tale.event("job.failed", error=failed["data"]["error"])


@found_by("numbers_within_budgets")
def a_stage_is_tried_more_often_than_its_budget(story: Story) -> None:
    a_stage_has_more_errors_than_its_budget(story)
    story.tale(6).fields["attempt"] = "4"


@found_by("numbers_within_budgets")
def a_hash_has_more_errors_than_its_budget(story: Story) -> None:
    story.tale(6).fields["attempt"] = "5"


@explained
def an_end_cannot_be_sent_before_its_worker_dies(story: Story) -> None:
    """Redis is away when a stage ends, and its process is killed just before it comes back."""
    alone(story)
    started(story, "9.a", "scripted-2")
    fields = {"job": LOSER, "stage": "step2", "fence": "9.a"}
    story.tell(ExecutionEnded, pid=story.pids["scripted-2"], how="stopped", **fields)
    story.fault("restart_redis", "redis-0", lasts_s=3.0)
    story.fault("kill", "scripted-2")
    story.dies("scripted-2")
    story.starts("scripted-2", ("scripted",))
    tale = story.tale(5)
    place = next(index for index, event in enumerate(tale.log) if event["data"].get("stage") == "step2")
    _insert(tale.log, place + 1, {"type": "job.retrying", "data": {"reason": LOST}})
    _insert(tale.log, place + 2, tale.log[place])
    tale.fields["rev"] = str(len(tale.log))
    started(story, "9.b", "scripted-1")
    story.tell(ExecutionEnded, pid=story.pids["scripted-1"], how="done", **{**fields, "fence": "9.b"})


@found_by("numbers_within_budgets")
def a_hash_has_more_crashes_than_its_budget(story: Story) -> None:
    story.tale(5).fields["crashes"] = "4"


@found_by("charges_have_causes")
def a_crash_is_charged_for_a_graceful_stop(story: Story) -> None:
    tale = story.tale(0)
    started = next(index for index, event in enumerate(tale.log) if event["type"] == "job.started")
    _insert(tale.log, started + 1, {"type": "job.retrying", "data": {"reason": LOST}})
    tale.fields["rev"] = str(len(tale.log))
    story.history = [event for event in story.history if not isinstance(event, Frame | WatcherLeft)]
    story.jobs[0] = msgspec.structs.replace(story.jobs[0], watchers=())


@explained
def a_worker_that_stops_waits_in_vain_for_redis(story: Story) -> None:
    """Its stage has ended, nothing that it sends arrives, and after a lease its work belongs to whoever takes it."""
    _redis_is_away_when_a_worker_stops(story, sooner_back_s=0.0)


@found_by("charges_have_causes")
def redis_is_back_long_before_a_worker_stops(story: Story) -> None:
    _redis_is_away_when_a_worker_stops(story, sooner_back_s=2.0)


def _redis_is_away_when_a_worker_stops(story: Story, *, sooner_back_s: float) -> None:
    a_crash_is_charged_for_a_graceful_stop(story)
    ended = story.of(ExecutionEnded, W0)[0]
    story.at_s += 4.0
    story.fault("terminate", "scripted-1")
    story.dies("scripted-1", 0)
    story.history += [
        FaultBegan(at_s=ended.at_s, number=90, name="restart_redis", victims=("redis-0",)),
        FaultEnded(at_s=story.at_s - sooner_back_s, number=90, name="restart_redis"),
    ]


@explained
def a_frozen_worker_goes_on_with_its_job(story: Story) -> None:
    a_crash_is_charged_for_a_graceful_stop(story)
    tale = story.tale(0)
    _insert(tale.log, 3, {"type": "job.resumed", "data": {"stage": "step1"}})
    tale.fields["rev"] = str(len(tale.log))
    began_s = story.of(ExecutionStarted, W0)[0].at_s
    story.history += [
        FaultBegan(at_s=began_s, number=90, name="freeze", victims=("scripted-1",)),
        FaultEnded(at_s=began_s + 2.0, number=90, name="freeze"),
    ]


def _insert(log: list[dict[str, object]], place: int, event: Mapping[str, object]) -> None:
    """One event more in a log, with those behind it numbered anew."""
    log.insert(place, {**log[0], **event, "id": f"77-{place}"})
    for rev, each in enumerate(log, start=1):
        each["rev"] = rev
