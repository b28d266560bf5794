"""Workloads are drawn from their seed, hold every shape, and know which ends they allow."""

import random

import pytest
from msgspec.structs import replace

from tests.faults.house.times import CRASH_BUDGET, ERROR_BUDGET, STALL_S
from tests.faults.load.bodies import STAGES
from tests.faults.load.ends import allowed_child_ends, allowed_ends, natural_end
from tests.faults.load.shapes import SHAPES
from tests.faults.load.workload import SERVED, TENANT_SHARES, workload
from tests.faults.plan import (
    Errs,
    Hangs,
    JobPlan,
    Kills,
    Media,
    Profile,
    Refuses,
    Scripted,
    Splits,
    Step,
    WatcherPlan,
    Works,
)

PROFILE = Profile(name="a test", jobs=500, chaos_s=75.0)
Steps = tuple[Step, ...]
SEEDS = range(5)


def drawn(seed: int = 1, profile: Profile = PROFILE) -> tuple[JobPlan, ...]:
    return workload(profile, random.Random(seed))


def scripted(jobs: tuple[JobPlan, ...]) -> list[JobPlan]:
    return [job for job in jobs if isinstance(job.work, Scripted)]


def steps_of(job: JobPlan) -> Steps:
    assert isinstance(job.work, Scripted)
    return job.work.steps


def families(steps: Steps) -> list[Splits]:
    """All splits, those of children too."""
    found = [step for step in steps if isinstance(step, Splits)]
    return found + [deeper for split in found for child in split.children for deeper in families(child)]


def plan(*steps: Step, **fields: object) -> JobPlan:
    return JobPlan(number=1, at_s=0.0, tenant="many", work=Scripted(steps=steps), **fields)  # type: ignore[arg-type]


def test_a_seed_is_a_workload() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_work_is_spread_and_shared_as_asked(seed: int) -> None:
    jobs = drawn(seed)
    assert [job.number for job in jobs] == list(range(500))
    moments = [job.at_s for job in jobs]
    assert moments == sorted(moments)
    assert 0.0 <= moments[0] <= moments[-1] <= 0.9 * PROFILE.chaos_s
    assert sum(isinstance(job.work, Media) for job in jobs) == 125
    assert {job.tenant for job in jobs if isinstance(job.work, Media)} == {SERVED}
    others = scripted(jobs)
    for tenant, percent in TENANT_SHARES.items():
        share = sum(job.tenant == tenant for job in others) / len(others)
        assert abs(share - percent / 100) < 0.08, tenant
    assert 0.06 < sum(job.cancel_after_s is not None for job in jobs) / 500 < 0.14
    assert any(job.cancel_after_s == 0.0 for job in jobs)
    assert {job.priority for job in jobs} == {"high", "normal", "low"}
    assert all(1.0 <= job.delay_s <= 5.0 for job in jobs if job.delay_s)
    assert any(job.delay_s for job in jobs)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_jobs_that_can_be_watched_are(seed: int) -> None:
    jobs = drawn(seed)
    watched = [job for job in jobs if job.watchers]
    assert {job.tenant for job in watched} == {SERVED}
    assert 0.3 < len(watched) / sum(job.tenant == SERVED for job in jobs) < 0.5
    watchers = [watcher for job in watched for watcher in job.watchers]
    for name in ("after_s", "leaves_after_s", "breaks_after_s"):
        assert any(getattr(watcher, name) for watcher in watchers), name
    assert WatcherPlan() in watchers


@pytest.mark.parametrize("seed", SEEDS)
def test_every_shape_occurs_and_poison_is_rare(seed: int) -> None:
    jobs = scripted(drawn(seed))
    works = [steps_of(job) for job in jobs]
    flat = [step for steps in works for step in steps]
    assert any(steps == (Works(),) * 4 for steps in works)
    assert any(isinstance(step, Works) and step.lasts_s > 10.0 for step in flat)
    assert {step.times >= ERROR_BUDGET for step in flat if isinstance(step, Errs)} == {True, False}
    assert {step.times >= CRASH_BUDGET for step in flat if isinstance(step, Kills)} == {True, False}
    assert any(isinstance(step, Hangs) for step in flat)
    assert any(isinstance(step, Refuses) for step in flat)
    splits = [step for step in flat if isinstance(step, Splits)]
    assert {split.on_child_failure for split in splits} == {"go_on", "fail"}
    assert any(split.listed for split in splits)
    assert any(families(child) for split in splits for child in split.children)
    assert any(natural_end(child) == "failed" for split in splits for child in split.children)
    poison = sum(any(isinstance(step, Kills) for step in steps) for steps in works)
    assert poison / len(jobs) < 0.03
    assert any("expired" in allowed_ends(job) for job in jobs)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_can_be_carried_out(seed: int) -> None:
    for job in scripted(drawn(seed)):
        steps = steps_of(job)
        assert 1 <= len(steps) <= len(STAGES)
        for step in steps:
            if isinstance(step, Works) and step.lasts_s:
                assert step.lasts_s / (step.reports + 1) < STALL_S, "whoever works reports in time"
        splits = families(steps)
        for family in (steps, *(child for split in splits for child in split.children)):
            # Children are numbered from 1 by each split, and the step behind it meets them.
            assert sum(isinstance(step, Splits) for step in family) <= 1
            assert not isinstance(family[-1], Splits)


def test_a_workload_without_ffmpeg_has_no_media_jobs() -> None:
    assert len(scripted(drawn(profile=replace(PROFILE, ffmpeg="none")))) == 500


def test_a_small_workload_still_has_every_shape_once() -> None:
    jobs = drawn(profile=replace(PROFILE, ffmpeg="none", jobs=len(SHAPES)))
    assert sum(any(isinstance(step, Kills) for step in steps_of(job)) for job in jobs) == 2


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        ((Works(),) * 4, "completed"),
        ((Errs(times=ERROR_BUDGET - 1), Works()), "completed"),
        ((Works(), Errs(times=ERROR_BUDGET)), "failed"),
        ((Kills(times=CRASH_BUDGET - 1),), "completed"),
        ((Kills(times=CRASH_BUDGET),), "failed"),
        ((Hangs(times=1),), "completed"),
        ((Refuses(),), "failed"),
        ((Splits(children=((Works(),), (Refuses(),))), Works()), "completed"),
        ((Splits(children=((Works(),), (Refuses(),)), on_child_failure="fail"), Works()), "failed"),
        ((Splits(children=((Works(),), (Works(),)), on_child_failure="fail"), Works()), "completed"),
    ],
)
def test_the_end_of_steps_that_are_left_alone(steps: Steps, end: str) -> None:
    assert natural_end(steps) == end
    assert allowed_ends(plan(*steps)) == {end}
    assert allowed_ends(plan(*steps, replayed=True)) == {end}
    assert allowed_ends(plan(*steps, cancel_after_s=1.0)) == {end, "cancelled"}


def test_what_cannot_be_done_in_time_expires_and_may_succeed_when_replayed() -> None:
    late = plan(Works(lasts_s=6.0, reports=10), deadline_s=2.0)
    assert allowed_ends(late) == {"expired"}
    assert allowed_ends(replace(late, replayed=True)) == {"expired", "completed"}
    assert allowed_ends(replace(late, deadline_s=3600.0)) == {"completed"}
    assert allowed_ends(plan(Refuses(), Works(lasts_s=6.0, reports=10), deadline_s=2.0)) == {"expired", "failed"}


def test_children_end_as_planned_or_with_their_parent() -> None:
    grandchildren = Splits(children=((Refuses(),), (Works(),)))
    parent = plan(Splits(children=((Works(),), (grandchildren, Works()))), Works())
    assert allowed_child_ends(parent, (1,)) == {"completed"}
    assert allowed_child_ends(parent, (2, 1)) == {"failed", "cancelled"}
    assert allowed_child_ends(replace(parent, cancel_after_s=0.0), (1,)) == {"completed", "cancelled"}
    for nobody in ((3,), (0,), (1, 1)):
        with pytest.raises(KeyError):
            allowed_child_ends(parent, nobody)


def test_a_media_job_ends_as_its_file_allows() -> None:
    media = JobPlan(number=1, at_s=0.0, tenant=SERVED, work=Media(sample="x", format="mp3", ends=("failed",)))
    assert allowed_ends(media) == {"failed"}
    assert allowed_ends(replace(media, cancel_after_s=1.0, replayed=True)) == {"failed", "cancelled"}
