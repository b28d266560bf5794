"""What is left of keys, files, processes and logs, corrupted."""

import msgspec

from tests.faults.checker.corruptions.table import AGAIN, CUT, FAILED, FILM, LOSER, W0, explained, found_by
from tests.faults.checker.story import Story
from tests.faults.checker.story_plan import job_id
from tests.faults.leavings import KeyFacts
from tests.faults.plan import Media


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
def a_job_that_did_not_fail_is_a_dead_letter(story: Story) -> None:
    story.key("dead", members=tuple(sorted((AGAIN, FAILED, W0))))


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


@found_by("keys_have_owners", "nothing_waits")
def a_stranger_is_held(story: Story) -> None:
    story.key("hold:nobody", type="zset")


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


@explained
def a_cancelled_job_keeps_what_a_replay_would_need(story: Story) -> None:
    source = f"work/{CUT}/1.n1/source"
    story.tale(3).fields["refs"] = f'["{source}"]'
    story.files.append(source)


@found_by("files_have_owners")
def a_completed_job_keeps_what_it_worked_from(story: Story) -> None:
    source = f"work/{W0}/1.n1/source"
    story.tale(0).fields["refs"] = f'["{source}"]'
    story.files.append(source)


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
def a_key_without_an_end_outlives_all_jobs(story: Story) -> None:
    story.forgotten.append(KeyFacts(partition="00", name="width:step1:cpu", type="string", ttl_ms=-1, size=1))


@found_by("nothing_is_kept")
def a_dead_letter_outlives_its_job(story: Story) -> None:
    story.forgotten.append(next(key for key in story.keys if key.name == "dead:step1"))


@found_by("nothing_is_kept")
def a_result_goes_with_its_job(story: Story) -> None:
    story.forgotten_files.pop()


@found_by("nothing_is_kept")
def a_file_outlives_its_job(story: Story) -> None:
    story.forgotten_files.append(f"work/{FILM}/1.n1/source")


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


def eaten(story: Story, times: int) -> None:
    """The only media job is one with a file that takes all memory of its worker once."""
    number = next(number for number, job in enumerate(story.jobs) if isinstance(job.work, Media))
    work = Media(sample="oom.wav", format="mp3")
    story.jobs[number] = msgspec.structs.replace(story.jobs[number], work=work)
    for _ in range(times):
        story.dies("transcode-1", -9)
        story.starts("transcode-1", ("transcode",))


@explained
def a_file_takes_a_worker(story: Story) -> None:
    eaten(story, 1)


@found_by("deaths_have_causes")
def a_file_takes_two_workers(story: Story) -> None:
    eaten(story, 2)


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
