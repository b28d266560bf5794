"""Every check finds what it is there for: a run without a fault in it is corrupted in one place at a time.

Each corruption names the checks that must find it, and no other may. What a power failure, a fault or the plan explains
is shown beside it: the same corruption with its reason is found by nobody.
"""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from tests.faults.checker.checking import CHECKS, Violation, check
from tests.faults.checker.figures import HEADER, figures
from tests.faults.checker.report import MOST_LINES, tell
from tests.faults.checker.story import DIGEST, LOST, OUTPUT, Story, job_id
from tests.faults.history import (
    CancelAnswered,
    ExecutionEnded,
    ExecutionStarted,
    FaultBegan,
    FaultEnded,
    Frame,
    Missing,
    Refused,
    ReplayAnswered,
    Sample,
    Submitted,
    WatcherLeft,
)

Change = Callable[[Story], None]
FOUND: list[tuple[str, Change, set[str]]] = []
"""Name of the corruption, what it does, and which checks must find it."""
EXPLAINED: list[tuple[str, Change]] = []
"""Corruptions with a reason: nothing may be found."""
W0, KIDS, FILM, CUT, AGAIN, LOSER, FAILED = map(job_id, range(7))


def found_by(*checks: str) -> Callable[[Change], Change]:
    """The corruption below must be found by these checks and by no other."""

    def add(change: Change) -> Change:
        FOUND.append((change.__name__, change, set(checks)))
        return change

    return add


def explained(change: Change) -> Change:
    """Nobody may complain of what is done below."""
    EXPLAINED.append((change.__name__, change))
    return change


def found(story: Story) -> list[Violation]:
    return check(story.plan(), story.told(), story.leavings())


def drop_frame(story: Story, event: str) -> None:
    story.history.remove(next(frame for frame in story.of(Frame) if frame.event == event))


def lose_job(story: Story, number: int) -> None:
    """It is nowhere in Redis."""
    job = job_id(number)
    del story.tales[job]
    story.keys = [
        msgspec.structs.replace(key, members=tuple(one for one in key.members if one != job))
        for key in story.keys
        if not key.name.endswith(job)
    ]


def submit_again(story: Story, number: int, other: int) -> None:
    """The same key makes another job, which does everything that the first one did."""
    before, now = job_id(number), job_id(other)
    tale = story.tales.pop(before)
    tale.job = now
    for event in tale.log:
        event["job"] = now
    story.tales[now] = tale
    for record in story.of(ExecutionStarted, before) + story.of(ExecutionEnded, before):
        story.change(record, job=now)
    story.tell(Submitted, number=number, job=now, tenant="many", key=f"k{number}", status="202")
    for index, key in enumerate(story.keys):
        members = tuple(now if one == before else one for one in key.members)
        story.keys[index] = msgspec.structs.replace(key, name=key.name.replace(before, now), members=members)


def test_a_consistent_run_has_no_violations() -> None:
    assert found(Story()) == []


# ---- accepted


@found_by("accepted_once")
def a_number_is_never_accepted(story: Story) -> None:
    story.jobs.append(msgspec.structs.replace(story.jobs[5], number=7))
    story.tell(Refused, number=7, asked_s=story.at_s, status="503")


@found_by("accepted_once", "dead_letters_agree")
def an_accepted_job_vanishes(story: Story) -> None:
    lose_job(story, 6)
    story.key("dead:step1", size=2)


@found_by("accepted_once", "accepted_once")
def an_accepted_job_is_missing_and_made_again(story: Story) -> None:
    story.tell(Missing, job=LOSER)
    submit_again(story, 5, 70)


@explained
def a_power_failure_loses_a_submission(story: Story) -> None:
    accepted = story.of(Submitted, LOSER)[0]
    story.power_fails(accepted.at_s - 0.001, accepted.at_s + 0.5)
    story.tell(Missing, job=LOSER)
    submit_again(story, 5, 70)


@found_by("accepted_once")
def a_power_failure_later_loses_no_submission(story: Story) -> None:
    accepted = story.of(Submitted, LOSER)[0]
    story.power_fails(accepted.at_s + 0.02, accepted.at_s + 0.5)
    story.tell(Missing, job=LOSER)
    submit_again(story, 5, 70)


@found_by("accepted_once")
def nothing_is_lost_with_always(story: Story) -> None:
    a_power_failure_loses_a_submission(story)
    story.profile = msgspec.structs.replace(story.profile, fsync="always")


@found_by("accepted_once")
def a_key_has_two_jobs_without_a_word(story: Story) -> None:
    submit_again(story, 5, 70)


@found_by("accepted_once")
def a_job_belongs_to_nobody(story: Story) -> None:
    for event in story.of(Submitted, LOSER):
        story.history.remove(event)
    story.jobs = [job for job in story.jobs if job.number != 5]


@found_by("cancels_kept", "allowed_end")
def a_cancelled_job_completes(story: Story) -> None:
    tale = story.tale(3)
    tale.log.pop()
    tale.event("job.failed", error={"code": "NOT_MEDIA"})
    story.key("dead", members=tuple(sorted((CUT, AGAIN, FAILED))))
    story.key("dead:step1", size=3)


@explained
def a_power_failure_undoes_a_cancel(story: Story) -> None:
    cancel = story.of(CancelAnswered)[0]
    story.power_fails(cancel.at_s - 0.1, cancel.at_s + 0.1)
    tale = story.tale(3)
    tale.log.pop()
    fences = [tale.fields["fence"]]
    story.change(story.of(ExecutionEnded, CUT)[0], how="done")
    tale.next_stage("step1", "step2")
    fences.append(tale.executes("step2"))
    tale.completes({"fences": fences})


@found_by("cancels_kept")
def a_cancelled_job_completes_and_says_both(story: Story) -> None:
    tale = story.tale(3)
    tale.event("job.replayed", stage="step1")
    story.jobs[3] = msgspec.structs.replace(story.jobs[3], replayed=True)
    fences = [tale.executes("step1")]
    tale.next_stage("step1", "step2")
    tale.completes({"fences": [*fences, tale.executes("step2")]})


@explained
def a_cancelled_job_completes_once_it_is_replayed(story: Story) -> None:
    story.tell(ReplayAnswered, job=CUT, status="ok")
    a_cancelled_job_completes_and_says_both(story)


@found_by("replays_kept", "started_twice")
def a_replay_that_was_promised_is_not_there(story: Story) -> None:
    tale = story.tale(4)
    tale.log = [event for event in tale.log if event["type"] != "job.replayed"][:3]
    for rev, event in enumerate(tale.log, start=1):
        event["rev"] = rev
    tale.fields |= {"rev": "3", "last_event": tale.log[-1]["id"]}


@found_by("replays_kept")
def a_replay_that_nobody_asked_for(story: Story) -> None:
    story.jobs[4] = msgspec.structs.replace(story.jobs[4], replayed=False)


# ---- ends


@found_by("allowed_end", "one_end_per_life", "nothing_waits", "dead_letters_agree")
def a_job_has_not_ended(story: Story) -> None:
    tale = story.tale(6)
    tale.log.pop()
    tale.fields |= {"state": "delayed", "rev": str(len(tale.log)), "last_event": tale.log[-1]["id"]}
    story.key("active", type="zset", members=(FAILED,))


@found_by("allowed_end")
def a_job_expires_before_its_time(story: Story) -> None:
    story.tale(3).log[-1]["type"] = "job.expired"
    story.tale(3).fields["state"] = "expired"
    story.history.remove(story.of(CancelAnswered)[0])
    deadline = msgspec.structs.replace(story.jobs[3], deadline_s=1.0)
    story.jobs[3] = deadline


@explained
def a_job_expires(story: Story) -> None:
    a_job_expires_before_its_time(story)
    story.tale(3).fields["deadline"] = story.tale(3).fields["ended_at"]


@found_by("allowed_end")
def errors_end_a_job_too_early(story: Story) -> None:
    tale = story.tale(6)
    story.jobs[6] = msgspec.structs.replace(story.jobs[6], work=story.jobs[5].work)
    tale.fields["attempt"] = "3"


@explained
def a_job_that_should_not_fail_had_its_errors(story: Story) -> None:
    story.jobs[6] = msgspec.structs.replace(story.jobs[6], work=story.jobs[5].work)


def crash_loop(story: Story, times: int) -> None:
    """Job 5 loses its worker `times` times for a reason, and once more for none."""
    tale = story.tale(5)
    tale.takes = 0
    del tale.log[1:]
    story.history = [
        event for event in story.history if getattr(event, "job", None) != LOSER or isinstance(event, Submitted)
    ]
    for lost in range(1, 4):
        tale.takes_up("step1", "scripted-2")
        if lost <= times:
            story.fault("kill", "scripted-2")
            story.dies("scripted-2")
            story.starts("scripted-2", ("scripted",))
        else:
            fence, pid = tale.fields["fence"], story.pids["scripted-2"]
            story.tell(ExecutionEnded, job=LOSER, stage="step1", fence=fence, pid=pid, how="error")
        tale.fields["crashes"] = str(lost)
        if lost < 3:
            tale.event("job.retrying", reason=LOST)
    tale.event("job.failed", error={"code": "CRASH_LOOP"})
    del tale.fields["result"]
    story.key("dead", members=tuple(sorted((LOSER, AGAIN, FAILED))))
    story.key("dead:step1", size=3)


@explained
def three_workers_are_taken_from_a_job(story: Story) -> None:
    crash_loop(story, 3)


@found_by("allowed_end", "charges_have_causes")
def two_workers_are_taken_and_three_charged(story: Story) -> None:
    crash_loop(story, 2)


@found_by("allowed_end", "one_end_per_life", "dead_letters_agree", "chain_of_fences")
def a_state_and_its_last_event_differ(story: Story) -> None:
    story.tale(4).fields["state"] = "completed"


@found_by("one_end_per_life")
def a_job_ends_twice(story: Story) -> None:
    story.tale(3).event("job.cancelled", by="client")


# ---- revisions and watchers


@found_by("log_contiguous")
def an_event_is_not_in_the_log(story: Story) -> None:
    del story.tale(5).log[1]


@found_by("log_contiguous")
def the_last_event_is_another(story: Story) -> None:
    story.tale(5).fields["last_event"] = "1-1"


@found_by("revisions_shown")
def a_watcher_misses_an_event(story: Story) -> None:
    drop_frame(story, "job.stage")


@found_by("revisions_shown")
def a_watcher_sees_an_event_twice(story: Story) -> None:
    frame = next(frame for frame in story.of(Frame) if frame.event == "job.stage")
    story.history.append(msgspec.structs.replace(frame, at_s=frame.at_s + 0.001))


@found_by("revisions_shown")
def a_watcher_begins_without_a_snapshot(story: Story) -> None:
    drop_frame(story, "snapshot")


@found_by("revisions_shown")
def progress_comes_under_another_revision(story: Story) -> None:
    story.change(next(frame for frame in story.of(Frame) if frame.event == "job.progress"), rev=1)


@found_by("revisions_shown")
def something_follows_the_end(story: Story) -> None:
    last = story.of(Frame)[-1]
    story.history.append(msgspec.structs.replace(last, at_s=last.at_s + 0.001))


@explained
def a_watcher_who_breaks_off_sees_a_replay(story: Story) -> None:
    tale = story.tale(4)
    for rev, event in enumerate(tale.log, start=1):
        is_first = rev == 1
        story.shows("snapshot" if is_first else event["type"], AGAIN, rev, state="queued" if is_first else None)
    story.tell(WatcherLeft, watcher="w0", job=AGAIN, how="end")


@found_by("revisions_shown")
def an_ended_job_goes_on_without_a_replay(story: Story) -> None:
    a_watcher_who_breaks_off_sees_a_replay(story)
    frames = story.of(Frame, AGAIN)
    for frame in frames:
        if frame.event == "job.replayed" or frame.rev > 4:
            story.history.remove(frame)
    story.tell(Frame, watcher="w0", job=AGAIN, connection=2, event="resync", rev=4, percent=0.0)
    story.tell(Frame, watcher="w0", job=AGAIN, connection=2, event="job.failed", rev=6, id=f"e.{tale_id(story, 6)}")


def tale_id(story: Story, rev: int) -> str:
    return str(story.tale(4).log[rev - 1]["id"])


@explained
def an_ended_job_is_shown_with_its_end(story: Story) -> None:
    rev = len(story.tale(3).log)
    story.shows("snapshot", CUT, rev, state="cancelled", percent=0.0)
    story.shows("job.cancelled", CUT, rev)
    story.shows("end", CUT)
    story.tell(WatcherLeft, watcher="w0", job=CUT, how="end")


def resync_backwards(story: Story) -> float:
    """After job.stage the stream begins anew, one revision and 40 percent earlier. When that was shown before."""
    stage = next(frame for frame in story.of(Frame) if frame.event == "job.stage")
    resync = msgspec.structs.replace(
        stage, event="resync", rev=2, percent=10.0, state="running", at_s=stage.at_s + 0.001, connection=2
    )
    again = msgspec.structs.replace(stage, at_s=stage.at_s + 0.002, connection=2)
    story.history += [resync, again]
    return float(stage.at_s)


@found_by("revisions_shown", "percent_never_falls")
def a_resync_goes_back_without_a_reason(story: Story) -> None:
    resync_backwards(story)


@explained
def a_power_failure_lets_a_resync_go_back(story: Story) -> None:
    at_s = resync_backwards(story)
    story.power_fails(at_s - 0.5, at_s + 0.0005)


@found_by("percent_never_falls")
def percent_falls(story: Story) -> None:
    story.change([frame for frame in story.of(Frame) if frame.event == "job.progress"][1], percent=39.0)


@found_by("shown_is_kept")
def a_watcher_was_shown_another_event(story: Story) -> None:
    frame = next(frame for frame in story.of(Frame) if frame.event == "job.stage")
    story.change(frame, event="job.retrying")


@explained
def what_was_shown_is_undone(story: Story) -> None:
    a_watcher_was_shown_another_event(story)
    at_s = next(frame for frame in story.of(Frame) if frame.event == "job.retrying").at_s
    story.power_fails(at_s - 0.1, at_s + 0.1)


@found_by("watchers_see_ends", "revisions_shown")
def a_watcher_is_not_shown_the_end(story: Story) -> None:
    drop_frame(story, "job.completed")


@found_by("watchers_see_ends")
def a_stream_does_not_end(story: Story) -> None:
    drop_frame(story, "end")
    story.change(story.of(WatcherLeft)[0], how="run_over")


@found_by("watchers_see_ends")
def a_watcher_that_should_stay_leaves(story: Story) -> None:
    story.change(story.of(WatcherLeft)[0], how="left")


@found_by("watchers_see_ends")
def a_watcher_vanishes(story: Story) -> None:
    story.jobs[0] = msgspec.structs.replace(story.jobs[0], watchers=())
    story.history.remove(story.of(WatcherLeft)[0])


@explained
def a_watcher_leaves_as_planned(story: Story) -> None:
    watch = msgspec.structs.replace(story.jobs[0].watchers[0], leaves_after_s=1.0)
    story.jobs[0] = msgspec.structs.replace(story.jobs[0], watchers=(watch,))
    a_watcher_that_should_stay_leaves(story)
    for event in ("end", "job.completed"):
        drop_frame(story, event)


# ---- stages and executions


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


# ---- budgets


@found_by("numbers_within_budgets", "numbers_within_budgets")
def a_stage_has_more_errors_than_its_budget(story: Story) -> None:
    tale = story.tale(6)
    failed = tale.log.pop()
    tale.event("job.retrying", error=failed["data"]["error"])
    tale.executes("step1", how="error")
    tale.fields["attempt"] = "5"
    tale.event("job.failed", error=failed["data"]["error"])


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
    log.insert(place, {**log[0], "id": f"77-{place}", **event})
    for rev, each in enumerate(log, start=1):
        each["rev"] = rev


# ---- results


@found_by("one_result", "one_end_per_life")
def a_job_completes_twice(story: Story) -> None:
    story.tale(1).event("job.completed", outputs=[])


@found_by("one_result", "manifests_agree", "files_have_owners", "nothing_is_kept", "nothing_is_kept")
def a_result_is_of_another_fence(story: Story) -> None:
    story.tale(2).fields["result"] = msgspec.json.encode({"path": f"out/{FILM}/9.z", "outputs": [OUTPUT]}).decode()


@found_by("one_result")
def a_job_that_failed_has_a_result(story: Story) -> None:
    story.tale(4).fields["result"] = "{}"


@found_by("manifests_agree")
def a_manifest_lists_something_else(story: Story) -> None:
    next(iter(story.manifests.values()))["outputs"] = []


@found_by("manifests_agree")
def a_manifest_is_of_another_job(story: Story) -> None:
    next(iter(story.manifests.values()))["job"] = W0


@found_by("manifests_agree", "nothing_is_kept")
def a_published_result_is_gone(story: Story) -> None:
    story.files.clear()
    story.forgotten_files.pop(0)


@found_by("manifests_agree")
def a_published_file_is_broken(story: Story) -> None:
    story.digests = dict.fromkeys(story.digests, DIGEST[::-1])


@found_by("manifests_agree", "files_have_owners")
def a_manifest_contradicts_its_job(story: Story) -> None:
    story.files.append(f"out/{CUT}/1.n1/manifest.json")


# ---- limits and children


@found_by("limits_kept")
def a_limit_is_exceeded(story: Story) -> None:
    story.tell(Sample, tenant="limited", limit=3, slots=4, running=2)


@found_by("limits_kept")
def more_run_than_a_limit_allows(story: Story) -> None:
    story.tell(Sample, tenant="limited", limit=3, slots=3, running=4)


@found_by("limits_kept")
def nobody_looks_at_a_limit(story: Story) -> None:
    story.history.remove(story.of(Sample)[0])


@found_by("rows_agree")
def a_row_says_something_else_than_its_child(story: Story) -> None:
    story.tale(1).kids["1"] = "failed 1.n1"


@found_by("rows_agree")
def a_parent_completes_before_its_child(story: Story) -> None:
    story.tale(1).kids |= {"1": "open", "open": "1"}


@found_by("rows_agree")
def a_count_of_open_children_is_wrong(story: Story) -> None:
    story.tale(1).kids["open"] = "-1"


@found_by("rows_agree")
def a_child_has_no_row(story: Story) -> None:
    del story.tale(1).kids["2"]


@found_by("allowed_end", "one_end_per_life", "children_end_with_parents", "rows_agree")
def a_child_outlives_its_parent(story: Story) -> None:
    child = story.tales[f"{KIDS}.2"]
    child.log.pop()
    child.fields |= {"state": "running", "rev": "2", "last_event": child.log[-1]["id"]}
    del child.fields["result"]


# ---- what is left


@found_by("nothing_waits")
def a_lease_is_left(story: Story) -> None:
    story.key("leases", type="zset", members=(W0,))


@found_by("nothing_waits")
def a_slot_is_left(story: Story) -> None:
    story.key("run:many", type="set", members=(LOSER,))


@found_by("nothing_waits")
def an_entry_is_pending(story: Story) -> None:
    story.key("in:step1:cpu:normal", pending=1)


@found_by("nothing_waits")
def a_job_is_in_quarantine(story: Story) -> None:
    story.key("quarantine", type="zset")


@found_by("nothing_waits")
def it_does_not_come_to_rest(story: Story) -> None:
    story.unquiet.append("rw:{p00}:active: 1")


@found_by("dead_letters_agree")
def a_failed_job_is_no_dead_letter(story: Story) -> None:
    story.key("dead", members=(AGAIN,))


@found_by("dead_letters_agree")
def a_dead_letter_is_left_of_a_replay(story: Story) -> None:
    story.key("dead:step1", size=3)


@found_by("keys_have_owners")
def a_key_that_nobody_knows(story: Story) -> None:
    story.key("cache:abc", type="string")


@found_by("keys_have_owners")
def a_log_without_its_job(story: Story) -> None:
    story.key(f"log:{job_id(99)}", type="list")


@found_by("keys_have_owners")
def an_idempotency_key_without_an_end(story: Story) -> None:
    story.key("idem:many:k1", ttl_ms=-1)


@found_by("keys_have_owners")
def a_key_of_another_type(story: Story) -> None:
    story.key("deadlines", type="set")


@found_by("keys_have_owners")
def a_job_that_is_never_forgotten(story: Story) -> None:
    story.key("deadlines", members=tuple(sorted(story.tales.keys() - {W0})))


@found_by("keys_have_owners")
def a_listing_with_a_job_that_is_gone(story: Story) -> None:
    story.key("jobs:many", members=(job_id(98),))


@found_by("files_have_owners")
def a_work_folder_is_left(story: Story) -> None:
    story.files.append(f"work/{FILM}/1.n1/")


@found_by("files_have_owners")
def a_scratch_file_is_left(story: Story) -> None:
    story.files.append("scratch/transcode-1/x/output.mp3")


@found_by("files_have_owners")
def a_second_result_is_left(story: Story) -> None:
    story.files.append(f"out/{FILM}/3.n3/output.mp3")


@found_by("nothing_is_kept")
def a_hash_outlives_its_retention(story: Story) -> None:
    story.forgotten.append(next(key for key in story.keys if key.name == f"job:{W0}"))


@found_by("nothing_is_kept")
def a_dead_letter_outlives_its_job(story: Story) -> None:
    story.forgotten.append(next(key for key in story.keys if key.name == "dead:step1"))


@found_by("nothing_is_kept")
def a_result_goes_with_its_job(story: Story) -> None:
    story.forgotten_files.pop()


@found_by("nothing_is_kept")
def a_file_outlives_its_job(story: Story) -> None:
    story.forgotten_files.append(f"work/{FILM}/1.n1/source")


# ---- processes and logs


@found_by("everybody_ended")
def a_process_ends_badly(story: Story) -> None:
    story.exits["media-1"] = 1


@found_by("everybody_ended")
def a_process_still_runs(story: Story) -> None:
    story.processes[4711] = "ffmpeg -i source"


@found_by("deaths_have_causes")
def a_process_ends_by_itself(story: Story) -> None:
    story.dies("gateway-1", 1)
    story.starts("gateway-1", ("gateway", "reaper"))


@explained
def a_process_ends_as_it_was_told(story: Story) -> None:
    story.fault("terminate", "gateway-1")
    story.dies("gateway-1", 0)
    story.starts("gateway-1", ("gateway", "reaper"))


@found_by("logs_are_clean")
def a_role_writes_of_a_bug(story: Story) -> None:
    story.log_errors.append({"process": "media-1", "level": "error", "event": "stage.bug", "job": FILM})


@found_by("logs_are_clean")
def a_role_writes_a_traceback(story: Story) -> None:
    story.log_errors.append({"process": "media-1", "text": "Traceback (most recent call last):\nKeyError: 1"})


@found_by("logs_are_clean")
def an_operator_is_called_for_nothing(story: Story) -> None:
    story.log_errors.append({"process": "media-1", "level": "error", "event": "stage.needs_operator"})


@explained
def an_operator_is_called_for_a_full_disk(story: Story) -> None:
    an_operator_is_called_for_nothing(story)
    story.fault("full_disk", "disk")


# ---- the tests over these tables


@pytest.mark.parametrize(("change", "checks"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_a_corrupted_run_is_found_out(change: Change, checks: set[str]) -> None:
    story = Story()
    change(story)
    violations = found(story)
    assert {violation.check for violation in violations} == checks, violations


@pytest.mark.parametrize("change", [row[1] for row in EXPLAINED], ids=[row[0] for row in EXPLAINED])
def test_what_has_a_reason_is_no_violation(change: Change) -> None:
    story = Story()
    change(story)
    assert found(story) == []


def test_every_check_is_shown_to_find_something() -> None:
    assert {each.__name__ for each in CHECKS} == set().union(*(row[2] for row in FOUND))


def test_the_report_tells_the_history_of_the_job_and_how_to_repeat() -> None:
    story = Story()
    two_workers_are_taken_and_three_charged(story)
    text = tell(story.plan(), story.told(), story.leavings(), found(story), "python -m tests.faults run --seed 1")
    assert text.endswith("again: python -m tests.faults run --seed 1\n")
    assert f"charges_have_causes: {LOSER}" in text
    for told in (
        "kill scripted-2",
        "starts step1 under 1.n1",
        "job.retrying",
        "submitted: 202",
        "ended with status -9",
    ):
        assert told in text, text


def test_the_report_is_bounded() -> None:
    story = Story()
    for _ in range(200):
        story.tale(0).event("job.queued", stage="step1")
    text = tell(story.plan(), story.told(), story.leavings(), [Violation("x", "y", job_id(0))] * 100, "again")
    assert "… and 40 more" in text
    assert len(text.splitlines()) < MOST_LINES + 80


def test_figures_count_what_happened() -> None:
    story = Story()
    counted = figures(story.plan(), story.told(), story.leavings(), (), "7.0.15", 12.3)
    assert (counted.jobs, counted.children, counted.deaths, counted.extra) == (7, 2, 1, 1)
    assert counted.faults == {"kill_worker": 1}
    assert counted.ends == {"cancelled": 1, "completed": 6, "failed": 2}
    assert counted.row().count("|") == HEADER.splitlines()[0].count("|")
    assert "7 jobs and 2 children" in counted.line()
