"""What follows from the course of a disturbed job, and scenes that fail or are broken off."""

import random
from collections.abc import Callable
from typing import Any, Self, cast

import pytest

from bench import ends
from bench.course import Moment, Outcome, is_over, outcome, read, recovered_s
from bench.kills import Case
from bench.scenarios import recovery, stall
from bench.scene import Failed, Scene, Together, Trial, play
from bench.systems.system import System, load

FIRST, OTHER = 100, 200
WORKERS = {101: FIRST, 201: OTHER}
OURS = Trial(load("reelway"))


def said(event: str, at_s: float, process: int) -> dict[str, Any]:
    return {"event": event, "job": 0, "at_ns": int(at_s * 1e9), "process": process}


def course(*reports: dict[str, Any], disturbed_s: float = 12.0) -> list[Moment]:
    return read(reports, int(disturbed_s * 1e9), WORKERS, FIRST)


def other_system() -> Trial:
    facts: dict[str, Any] = dict.fromkeys(("settings", "acknowledged", "recovery", "fence", "events", "results"), "")
    made = System(
        name="other", language="python", source="", worker=(), client=(), modes=load("reelway").modes, **facts
    )
    return Trial(made)


class TestCourse:
    def test_moments_are_in_their_order_and_know_their_worker(self) -> None:
        seen = course(said("started", 30.5, 201), {"event": "ready", "pid": 101}, said("started", 10.0, 101))
        assert seen == [Moment("started", -2.0, True), Moment("started", 18.5, False)]

    def test_a_job_is_back_when_another_worker_has_begun_it(self) -> None:
        assert recovered_s(course(said("started", 10.0, 101), said("started", 21.5, 201))) == pytest.approx(9.5)

    def test_neither_the_first_start_nor_one_before_the_kill_is_a_recovery(self) -> None:
        assert recovered_s(course(said("started", 10.0, 101))) is None
        assert recovered_s(course(said("started", 10.0, 101), said("started", 11.0, 201))) is None

    def test_a_process_that_nobody_knows_is_not_the_killed_worker(self) -> None:
        assert recovered_s(course(said("started", 10.0, 101), said("started", 13.0, 999))) == pytest.approx(1.0)

    def test_a_quiet_stall(self) -> None:
        assert outcome(course(said("started", 0.0, 101), said("finished", 40.0, 101))) == Outcome(1, 0, 1, None, True)

    def test_a_false_reclaim_whose_two_runs_reach_the_end(self) -> None:
        both = course(
            said("started", 0.0, 101),
            said("started", 22.0, 201),
            said("finished", 40.0, 101),
            said("finished", 62.0, 201),
        )
        assert outcome(both) == Outcome(2, 0, 2, 10.0, True)

    def test_a_false_reclaim_whose_first_run_was_cancelled(self) -> None:
        fenced = course(said("started", 0.0, 101), said("started", 22.0, 201), said("finished", 62.0, 201))
        assert outcome(fenced) == Outcome(2, 0, 1, 10.0, False)

    def test_the_same_worker_may_begin_again(self) -> None:
        again = course(said("started", 0.0, 101), said("started", 28.0, 101), said("finished", 68.0, 101))
        assert outcome(again) == Outcome(2, 0, 1, 16.0, True)

    def test_a_job_that_is_merely_long_may_be_taken_away_before_the_stall(self) -> None:
        long = course(said("started", 0.0, 101), said("started", 10.0, 201), said("finished", 40.0, 101))
        assert outcome(long) == Outcome(2, 1, 1, None, True)

    def test_it_is_over_a_while_after_every_start_has_its_end(self) -> None:
        running = course(said("started", 0.0, 101))
        ended = course(said("started", 0.0, 101), said("finished", 40.0, 101))
        assert not is_over([], 1000.0)
        assert not is_over(running, 1000.0)
        assert not is_over(ended, 40.0)
        assert is_over(ended, 58.1)


class TestRecovery:
    def test_what_was_not_seen_is_a_result(self) -> None:
        result = recovery.Result(other_system(), 125.0, (None, None))
        assert (result.figure.values, result.figure.note) == ((), "not seen within 125 s")
        assert result.bar == ("other, not seen", 125.0, 125.0, 125.0)

    def test_seen_in_some_rounds(self) -> None:
        result = recovery.Result(other_system(), 125.0, (99.0, None, 101.0))
        assert (result.figure.values, result.figure.note) == ((99.0, 101.0), "not seen within 125 s in 1 of 3 rounds")
        assert result.bar == ("other", 100.0, 99.0, 101.0)

    def test_what_did_not_run_is_no_result(self) -> None:
        result = recovery.Result(other_system(), 125.0, (Failed("no module"),))
        assert (result.figure.values, result.figure.note) == ((), "did not run in 1 of 1 rounds")
        assert result.bar is None

    def test_the_shortest_bar_is_first(self) -> None:
        results = [recovery.Result(other_system(), 125.0, (None,)), recovery.Result(OURS, 125.0, (9.5,))]
        (series,) = recovery.plot(results).series
        assert series.x == ("reelway", "other, not seen")
        assert series.y == (9.5, 125.0)

    @pytest.mark.parametrize(
        ("rounds", "lost_s", "met"),
        [
            ((9.5, 9.9), 11.9, True),
            ((9.5, 12.1), 9.0, False),
            ((9.5,), 12.1, False),
            ((9.5, None), 9.0, False),
            ((), 9.0, True),
        ],
    )
    def test_every_kill_counts(self, rounds: tuple[float | None, ...], lost_s: float, met: bool) -> None:
        cases = [Case(1.0, "empty", 0, [[9.0, lost_s]])]
        theirs = recovery.Result(other_system(), 125.0, (None,))
        assert recovery.check([theirs, recovery.Result(OURS, 125.0, rounds)], cases).met is met


class TestStall:
    def results(self, worker: stall.Said | Failed, redis: stall.Said | Failed) -> list[stall.Result]:
        return [stall.Result(OURS, "worker", (worker,)), stall.Result(OURS, "redis", (redis,))]

    def test_a_fenced_worker_and_a_patient_reaper(self) -> None:
        fenced = stall.Said(Outcome(2, 0, 1, 10.0, False), 0, "1, of start 2")
        quiet = stall.Said(Outcome(1, 0, 1, None, True), 0, "1, of start 1")
        assert [each.met for each in stall.checks(self.results(fenced, quiet))] == [True, True]
        assert "Redis is stopped for 15 s: begun a second time by nobody." in stall.says(self.results(fenced, quiet))

    def test_what_breaks_the_promises(self) -> None:
        first_counted = stall.Said(Outcome(2, 0, 2, 10.0, True), 0, "1, of start 1")
        reaped = stall.Said(Outcome(2, 0, 1, 17.0, False), 0, "1, of start 2")
        assert [each.met for each in stall.checks(self.results(first_counted, reaped))] == [False, False]
        assert [each.met for each in stall.checks(self.results(Failed("?"), Failed("?")))] == [False, False]

    def test_a_row_says_who_left(self) -> None:
        gone = stall.Said(Outcome(1, 0, 0, None, False), 2, ends.NOT_SAID)
        row = stall.Result(other_system(), "redis", (gone, Failed("?"))).row()
        assert row.figures[0].note == "did not run in 1 of 2 rounds; workers that ended by themselves: 2"
        assert row.labels[-1] == "not said"

    def test_the_stall_ends_before_the_job(self) -> None:
        times = stall.Times(40.0, 15.0, 110.0, random.Random(1))
        assert all(5.0 < times.into_s() < 20.0 for _ in range(100))


class Stage:
    """In the place of a scene: what it is to do when it is opened, and whether it was closed."""

    def __init__(self, opening: Callable[[], None] = lambda: None) -> None:
        self.open = opening
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


class TestPlay:
    def test_a_scene_that_cannot_be_opened_does_not_hold_the_others_up(self) -> None:
        def fail() -> None:
            raise FileNotFoundError("no such program")

        stages = [Stage(), Stage(fail), Stage()]
        made = play(cast("list[Scene]", stages), lambda _: 1, Together())
        assert made == [1, Failed("no such program"), 1]
        assert all(stage.closed for stage in stages)

    def test_what_ends_the_run_closes_every_scene(self) -> None:
        together = Together()
        stages = [Stage(), Stage()]

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            play(cast("list[Scene]", stages), lambda _: together.over.wait(60.0), together, interrupt)
        assert all(stage.closed for stage in stages)
