"""What watchers were shown, corrupted."""

import msgspec

from tests.faults.checker.corruptions.table import AGAIN, CUT, W0, drop_frame, explained, found_by
from tests.faults.checker.story import Story
from tests.faults.history import Frame, WatcherLeft


@found_by("log_contiguous")
def an_event_is_not_in_the_log(story: Story) -> None:
    del story.tale(5).log[1]


@found_by("log_contiguous")
def the_last_event_is_another(story: Story) -> None:
    story.tale(5).fields["last_event"] = "1-1"


@found_by("log_contiguous")
def two_events_have_one_id(story: Story) -> None:
    story.tale(5).log[1]["id"] = story.tale(5).log[0]["id"]


@found_by("log_contiguous")
def an_event_is_of_another_job(story: Story) -> None:
    story.tale(5).log[1]["job"] = W0


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
def a_snapshot_comes_where_the_stream_goes_on(story: Story) -> None:
    frame = next(frame for frame in story.of(Frame) if frame.event == "job.stage")
    snapshot = msgspec.structs.replace(frame, event="snapshot", state="running", percent=40.0, at_s=frame.at_s + 0.001)
    story.history.append(snapshot)


@found_by("revisions_shown", "shown_is_kept")
def an_ended_job_starts_again(story: Story) -> None:
    story.shows("snapshot", AGAIN, 3, state="failed")
    story.shows("job.failed", AGAIN, 3)
    for event, rev in (("job.started", 4), ("job.started", 5), ("job.failed", 6)):
        story.shows(event, AGAIN, rev)
    story.tell(WatcherLeft, watcher="w0", job=AGAIN, how="end")


@found_by("revisions_shown", "shown_is_kept")
def a_running_job_is_replayed(story: Story) -> None:
    story.shows("snapshot", AGAIN, 2, state="running")
    story.shows("job.replayed", AGAIN, 3)
    story.tell(WatcherLeft, watcher="w0", job=AGAIN, how="left")


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
