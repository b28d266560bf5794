"""What was promised to clients and how jobs ended, corrupted."""

import copy

import msgspec

from tests.faults.checker.corruptions.table import (
    AGAIN,
    CUT,
    FAILED,
    LOSER,
    explained,
    found_by,
    lose_job,
    submit_again,
)
from tests.faults.checker.story import Story, Tale
from tests.faults.checker.story_plan import LOST, job_id
from tests.faults.history import (
    CancelAnswered,
    ExecutionEnded,
    ExecutionStarted,
    Missing,
    Refused,
    ReplayAnswered,
    Submitted,
)


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


@explained
def a_power_failure_loses_a_job_that_was_published(story: Story) -> None:
    a_power_failure_loses_a_submission(story)
    left = [f"out/{LOSER}/1.n1/{name}" for name in ("manifest.json", "output.mp3")]
    story.manifests[left[0]] = {"job": LOSER, "outputs": [{"file": "output.mp3"}]}
    story.files += left
    story.forgotten_files += left


@found_by("files_have_owners", "nothing_is_kept")
def a_lost_job_leaves_more_than_its_result(story: Story) -> None:
    a_power_failure_loses_a_job_that_was_published(story)
    story.files.append(f"out/{LOSER}/1.n1/draft")
    story.forgotten_files.append(f"out/{LOSER}/1.n1/draft")


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
def a_job_that_was_lost_is_there_as_well(story: Story) -> None:
    tale = copy.deepcopy(story.tale(5).log)
    fields, keys = dict(story.tale(5).fields), list(story.keys)
    executions = story.of(ExecutionStarted, LOSER) + story.of(ExecutionEnded, LOSER)
    a_power_failure_loses_a_submission(story)
    back = Tale(story, LOSER, "many", None)
    back.log, back.fields = tale, fields
    story.history += executions
    rows = next(key for key in keys if key.name == "deadlines").members
    story.keys += [key for key in keys if key.name.endswith(LOSER)]
    story.key("deadlines", members=tuple(sorted({*rows, job_id(70)})))


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


def crash_loop(story: Story, times: int, charged: int = 3) -> None:
    """Job 5 is charged so many lost workers, the first `times` of them for a reason."""
    tale = story.tale(5)
    tale.takes = 0
    del tale.log[1:]
    story.history = [
        event for event in story.history if getattr(event, "job", None) != LOSER or isinstance(event, Submitted)
    ]
    for lost in range(1, charged + 1):
        tale.takes_up("step1", "scripted-2")
        if lost <= times:
            story.fault("kill", "scripted-2")
            story.dies("scripted-2")
            story.starts("scripted-2", ("scripted",))
        else:
            fence, pid = tale.fields["fence"], story.pids["scripted-2"]
            story.tell(ExecutionEnded, job=LOSER, stage="step1", fence=fence, pid=pid, how="error")
        tale.fields["crashes"] = str(lost)
        if lost < charged:
            tale.event("job.retrying", reason=LOST)
    tale.event("job.failed", error={"code": "CRASH_LOOP"})
    del tale.fields["result"]
    story.key("dead", members=tuple(sorted((LOSER, AGAIN, FAILED))))
    story.key("dead:step1", size=3)


@found_by("numbers_within_budgets")
def four_workers_are_taken_from_a_job(story: Story) -> None:
    crash_loop(story, 4, 4)
    story.tale(5).fields["crashes"] = "3"


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


@found_by("one_end_per_life", "one_result")
def a_job_is_replayed_after_it_completed(story: Story) -> None:
    tale = story.tale(5)
    story.jobs[5] = msgspec.structs.replace(story.jobs[5], replayed=True)
    fences = msgspec.json.decode(tale.fields["result"])["fences"]
    tale.event("job.replayed", stage="step2")
    tale.takes_up("step2")
    tale.completes({"fences": fences})
    tale.fields["fence"] = fences[-1]
