"""What a pause that kills nobody does to a running job: its worker, or Redis, is stopped for 15 s."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec

from bench.context import Context
from bench.course import Outcome, is_over, outcome
from bench.ends import of_start, recorded
from bench.findings import Check, Figure, Finding, Row, Table
from bench.machine import Watch
from bench.scenarios.recovery import choose, rounds_of
from bench.scene import Failed, Scene, Together, Trial, play

WHAT = "what a stopped worker and a stopped Redis do to a running job: false reclaims, ends, which end counts"
JOB_S, STALL_S = 40.0, 15.0
QUICK_JOB_S, QUICK_STALL_S = 6.0, 2.0
WATCHED_S = 110.0
"""From the beginning of the stall: a start at the very end of it still ends within."""
AT_ONCE = 24
"""Scenes at the same time: each has three processes or more, and even those that only poll need the processor."""
ROUNDS = 2
Stopped = Literal["worker", "redis"]
TITLES: dict[Stopped, str] = {
    "worker": f"The worker of the job is stopped for {STALL_S:g} s",
    "redis": f"Redis is stopped for {STALL_S:g} s",
}


class Said(msgspec.Struct, frozen=True):
    """One round of one trial."""

    outcome: Outcome
    gone: int
    """Workers that have ended by themselves."""
    accepted: str
    """Ends that the system has recorded, in the words of a reader."""


class Result(msgspec.Struct, frozen=True):
    """All rounds of one trial with one thing stopped."""

    trial: Trial
    stopped: Stopped
    rounds: tuple[Said | Failed, ...]

    @property
    def said(self) -> tuple[Said, ...]:
        return tuple(each for each in self.rounds if isinstance(each, Said))

    def row(self) -> Row:
        outcomes = [each.outcome for each in self.said]
        again = tuple(round(each.restarted_s, 1) for each in outcomes if each.restarted_s is not None)
        figures = (
            Figure("", tuple(float(each.starts) for each in outcomes), "; ".join(self._notes())),
            Figure("s", again),
            Figure("", tuple(float(each.ends) for each in outcomes)),
            Figure("", tuple(float(each.first_ended) for each in outcomes)),
        )
        accepted = " / ".join(dict.fromkeys(each.accepted for each in self.said))
        return Row((self.trial.system.name, self.trial.settings, accepted or "–"), figures)

    def _notes(self) -> Iterator[str]:
        failed = len(self.rounds) - len(self.said)
        if failed:
            yield f"did not run in {failed} of {len(self.rounds)} rounds"
        early = [each.outcome.early for each in self.said]
        if any(early):
            yield f"of these begun again before the stall: {', '.join(map(str, early))}"
        gone = [each.gone for each in self.said if each.gone]
        if gone:
            yield f"workers that ended by themselves: {', '.join(map(str, gone))}"


class Times(msgspec.Struct, frozen=True):
    """How long things take in a run."""

    job_s: float
    stall_s: float
    watched_s: float
    chance: random.Random

    def into_s(self) -> float:
        """Somewhere in the middle of the job: systems renew their locks at moments of their own."""
        room_s = self.job_s - self.stall_s
        return self.chance.uniform(0.3 * room_s, 0.7 * room_s)


def stop_one(scene: Scene, stopped: Stopped, times: Times, into_s: float) -> Said:
    """Stops the worker of the job or its Redis for a while in the middle of the job; returns what came of it."""
    scene.begin()
    scene.pause(into_s)
    send: Callable[[int], None] = scene.holder.signal if stopped == "worker" else _sender(scene.server.pid)
    stalled_ns = time.monotonic_ns()
    with _stopped(send):
        scene.pause(times.stall_s)
    scene.watch(stalled_ns, times.watched_s, is_over)
    course = scene.course(stalled_ns)
    return Said(outcome(course), scene.gone, recorded(scene.trial.system.name, scene.server))


@contextmanager
def _stopped(send: Callable[[int], None]) -> Iterator[None]:
    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


def _sender(pid: int) -> Callable[[int], None]:
    return lambda number: os.kill(pid, number)


def run(context: Context) -> Finding:
    chance = random.Random(context.seed)
    times = (
        Times(QUICK_JOB_S, QUICK_STALL_S, QUICK_JOB_S + QUICK_STALL_S, chance)
        if context.quick
        else Times(JOB_S, STALL_S, WATCHED_S, chance)
    )
    chosen = choose(context)
    tried: dict[tuple[str, Stopped], list[Said | Failed]] = {}
    disturbances = []
    for number in range(rounds_of(context, ROUNDS)):
        plan = context.order([(trial, stopped) for trial in chosen for stopped in TITLES], number)
        with Watch() as watch:
            for first in range(0, len(plan), AT_ONCE):
                for (trial, stopped), said in _batch(context, plan[first : first + AT_ONCE], times):
                    tried.setdefault((trial.name, stopped), []).append(said)
                    context.say(f"stall, round {number + 1}, {stopped} stopped, {trial.name}: {words(said)}")
        disturbances.append(f"{watch.steal_percent:g} % and {watch.other_percent:g} %")
    results = [Result(trial, stopped, tuple(tried[trial.name, stopped])) for stopped in TITLES for trial in chosen]
    return Finding(
        scenario="stall",
        title="False reclaims under a stall",
        how=how(times, disturbances),
        tables=tuple(table(stopped, results) for stopped in TITLES),
        checks=checks(results),
        says=says(results),
    )


def _batch(
    context: Context, plan: Sequence[tuple[Trial, Stopped]], times: Times
) -> list[tuple[tuple[Trial, Stopped], Said | Failed]]:
    together = Together()
    scenes = [Scene(context, trial, times.job_s, together) for trial, _ in plan]
    moments = [times.into_s() for _ in plan]
    by_scene = {id(scene): (stopped, into_s) for scene, (_, stopped), into_s in zip(scenes, plan, moments, strict=True)}

    def act(scene: Scene) -> Said:
        stopped, into_s = by_scene[id(scene)]
        return stop_one(scene, stopped, times, into_s)

    return list(zip(plan, play(scenes, act, together), strict=True))


def words(said: Said | Failed) -> str:
    """For the person who waits."""
    if isinstance(said, Failed):
        return f"did not run: {said.why}"
    gone = f", {said.gone} workers gone" if said.gone else ""
    return f"{said.outcome.starts} starts, {said.outcome.ends} ends, recorded: {said.accepted}{gone}"


def how(times: Times, disturbances: Sequence[str]) -> str:
    method = (
        f"Two workers of a system, each with a concurrency of 1, and one job that sleeps {times.job_s:g} s. In the"
        f" middle of it, at a moment drawn by seed, everything of the worker that has the job, or Redis, gets SIGSTOP"
        f" and {times.stall_s:g} s later SIGCONT. Nobody dies, so one start and one end is what a reader would wish."
        f" Watched until 30 s after the last end, at most {times.watched_s:g} s from the stall."
    )
    reading = (
        "Columns: how often the job began; seconds from the beginning of the stall to the second start; how often its"
        " work ran to the end; whether the worker that was stopped, or had the job when Redis was, ran it to the end"
        " (1) or not (0). `ends recorded`: how many ends the system took for the end of the job, and of which start,"
        " as its own keys say; most keep one result and do not say who wrote it. A handler that its system cancels"
        " because its lease is lost does not run to the end."
    )
    rounds = (
        f"Rounds: {len(disturbances)}; up to {AT_ONCE} scenes run at the same time, each on a server of its own. Taken"
        " by the host (of the machine) and used by other programs (of one core), by round:"
        f" {'; '.join(disturbances)}."
    )
    return f"{method}\n\n{reading}\n\n{rounds}"


def table(stopped: Stopped, results: Sequence[Result]) -> Table:
    return Table(
        TITLES[stopped],
        ("system", "settings", "ends recorded"),
        ("starts", "second start after", "ran to the end", "of these by the first worker"),
        tuple(each.row() for each in results if each.stopped == stopped),
    )


def checks(results: Sequence[Result]) -> tuple[Check, ...]:
    ours = {each.stopped: each for each in results if each.trial.ours}
    redis, worker = ours["redis"], ours["worker"]
    whole = [len(each.said) == len(each.rounds) > 0 for each in (redis, worker)]
    return (
        Check(
            what="Reelway: a Redis that stands still for 15 s reaps nobody",
            wanted="1 start and 1 end in every round",
            found=_counts(redis),
            met=whole[0] and all((each.outcome.starts, each.outcome.ends) == (1, 1) for each in redis.said),
        ),
        Check(
            what="Reelway: however often a job of a stopped worker began, one end counts, that of the last start",
            wanted="one end recorded in every round",
            found=_counts(worker),
            met=whole[1] and all(each.accepted == of_start(each.outcome.starts) for each in worker.said),
        ),
    )


def _counts(result: Result) -> str:
    return "; ".join(words(each) for each in result.rounds)


def says(results: Sequence[Result]) -> str:
    """Who began a second time although nobody had died."""
    sentences = []
    for stopped in TITLES:
        there = [each for each in results if each.stopped == stopped and each.said]
        again = [each.trial.name for each in there if any(said.outcome.starts > 1 for said in each.said)]
        lost = [each.trial.name for each in there if any(said.outcome.ends == 0 for said in each.said)]
        sentences.append(
            f"{TITLES[stopped]}: begun a second time by {', '.join(again) or 'nobody'}"
            + (f"; never run to the end by {', '.join(lost)}" if lost else "")
            + "."
        )
    return " ".join(sentences)
