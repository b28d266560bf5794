"""Every check finds what it is there for: a run without a fault in it is corrupted in one place at a time.

Each corruption names the checks that must find it, and no other may. What a power failure, a fault or the plan explains
is shown beside it: the same corruption with its reason is found by nobody.
"""

from pathlib import Path

import pytest

from tests.faults.checker.checking import CHECKS, Violation, check
from tests.faults.checker.corruptions import of_acceptance, of_leftovers, of_results, of_streams, of_work
from tests.faults.checker.corruptions.table import EXPLAINED, FOUND, LOSER, Change
from tests.faults.checker.figures import figures
from tests.faults.checker.report import MOST_LINES, tell
from tests.faults.checker.story import Story
from tests.faults.checker.story_plan import job_id
from tests.faults.history import HISTORY, FaultBegan, FaultPassed, Journal
from tests.faults.keeping import judge, keep

SUBJECTS = (of_acceptance, of_streams, of_work, of_results, of_leftovers)
"""Importing them fills the tables."""


def found(story: Story) -> list[Violation]:
    return check(story.plan(), story.told(), story.leavings())


def test_a_consistent_run_has_no_violations() -> None:
    assert found(Story()) == []


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
    of_acceptance.two_workers_are_taken_and_three_charged(story)
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
    story.tell(FaultBegan, number=99, name="step_clock", victims=("redis-0",))
    story.tell(FaultPassed, number=99, name="step_clock", why="this server's clock cannot be moved")
    assert figures(story.plan(), story.told(), story.leavings()).faults == counted.faults
    assert counted.ends == {"cancelled": 1, "completed": 6, "failed": 2}
    assert "7 jobs and 2 children" in counted.line()


def test_a_run_that_was_kept_is_judged_again(tmp_path: Path) -> None:
    story = Story()
    story.exits["media-1"] = 1
    journal = Journal(tmp_path / HISTORY)
    for event in story.told():
        journal.add(event)
    journal.close()
    keep(tmp_path, story.plan(), story.leavings())
    judged = judge(tmp_path)
    assert (judged.plan, judged.leavings) == (story.plan(), story.leavings())
    assert [violation.check for violation in judged.violations] == ["everybody_ended"]
