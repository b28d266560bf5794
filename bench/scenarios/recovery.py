"""How long the work of a killed worker stands still: ours and the others', with their defaults and set to 10 s."""

import signal
import statistics
import time
from collections.abc import Sequence

import msgspec

from bench import kills
from bench.context import OURS, Context
from bench.course import recovered_s
from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table
from bench.machine import Watch
from bench.scene import Failed, Scene, Together, Trial, play, trials
from bench.systems.environments import is_installed
from bench.systems.system import load

WHAT = "how long the work of a killed worker stands still, with defaults and with locks of 10 s"
PROMISED_S = 12.0
JOB_S, INTO_S = 60.0, 2.0
BOUND_S, QUICK_BOUND_S = 125.0, 15.0
OUR_ROUNDS, THEIR_ROUNDS = 3, 2


class Result(msgspec.Struct, frozen=True):
    """What became of the killed worker's job in each round of one trial."""

    trial: Trial
    bound_s: float
    rounds: tuple[float | Failed | None, ...]
    """Seconds from the kill to the start on the other worker; None: none within the bound."""

    @property
    def seen_s(self) -> tuple[float, ...]:
        return tuple(each for each in self.rounds if isinstance(each, float))

    @property
    def figure(self) -> Figure:
        return Figure("s", tuple(round(each, 2) for each in self.seen_s), "; ".join(self._notes()))

    @property
    def bar(self) -> tuple[str, float, float, float] | None:
        """Label, median, least and most; up to the bound where no start was seen, none where nothing was measured."""
        if self.seen_s:
            return self.trial.name, round(statistics.median(self.seen_s), 2), min(self.seen_s), max(self.seen_s)
        if None in self.rounds:
            return f"{self.trial.name}, not seen", self.bound_s, self.bound_s, self.bound_s
        return None

    def _notes(self) -> list[str]:
        notes = []
        unseen = sum(each is None for each in self.rounds)
        if unseen:
            share = "" if unseen == len(self.rounds) else f" in {unseen} of {len(self.rounds)} rounds"
            notes.append(f"not seen within {self.bound_s:g} s{share}")
        failures = [each for each in self.rounds if isinstance(each, Failed)]
        if failures:
            notes.append(f"did not run in {len(failures)} of {len(self.rounds)} rounds")
        return notes


def kill(scene: Scene, bound_s: float) -> float | None:
    """Kills the worker that has the job; returns the seconds until the job starts on the other one."""
    scene.begin()
    scene.pause(INTO_S)
    killed_ns = time.monotonic_ns()
    scene.holder.signal(signal.SIGKILL)
    scene.watch(killed_ns, bound_s, lambda course, _: recovered_s(course) is not None)
    return recovered_s(scene.course(killed_ns))


def run(context: Context) -> Finding:
    bound_s = QUICK_BOUND_S if context.quick else BOUND_S
    chosen = choose(context)
    tried: dict[str, list[float | Failed | None]] = {trial.name: [] for trial in chosen}
    disturbances = []
    cases: list[kills.Case] = []

    def meanwhile() -> None:
        if context.quick:
            cases.extend(kills.kill_workers(context))

    for number in range(rounds_of(context, OUR_ROUNDS)):
        now = [trial for trial in chosen if trial.ours or number < rounds_of(context, THEIR_ROUNDS)]
        together = Together()
        with Watch() as watch:
            scenes = [Scene(context, trial, JOB_S, together) for trial in context.order(now, number)]
            said = play(scenes, lambda scene: kill(scene, bound_s), together, meanwhile)
        for scene, each in zip(scenes, said, strict=True):
            tried[scene.trial.name].append(each)
            context.say(f"recovery, round {number + 1}, {scene.trial.name}: {words(each, bound_s)}")
        disturbances.append(f"{watch.steal_percent:g} % and {watch.other_percent:g} %")
    results = [Result(trial, bound_s, tuple(tried[trial.name])) for trial in chosen]
    if not context.quick:
        cases.extend(kills.kill_workers(context))
    return Finding(
        scenario="recovery",
        title="Recovery after a killed worker",
        how=how(results, disturbances),
        tables=(table(results), kills.table(cases)),
        plots=(plot(results),),
        checks=(check(results, cases),),
        says=says(results),
    )


def choose(context: Context) -> list[Trial]:
    """What is tried; `quick`: ours and one other system set to 10 s."""
    installed = [load(name) for name in dict.fromkeys((OURS, *context.systems))]
    able = [each for each in installed if each.runs("sleep") and is_installed(each, context.environments)]
    chosen = list(trials(able))
    if context.quick:
        return [trial for trial in chosen if trial.ours] + [trial for trial in chosen if trial.variant][:1]
    return chosen


def rounds_of(context: Context, most: int) -> int:
    """These rounds take minutes, so there are few of them."""
    return 1 if context.quick else min(context.rounds, most)


def words(said: float | Failed | None, bound_s: float) -> str:
    """For the person who waits."""
    if isinstance(said, Failed):
        return f"did not run: {said.why}"
    return f"not seen within {bound_s:g} s" if said is None else f"{said:.1f} s"


def how(results: Sequence[Result], disturbances: Sequence[str]) -> str:
    bound_s = results[0].bound_s
    ours = max(len(each.rounds) for each in results)
    theirs = max((len(each.rounds) for each in results if not each.trial.ours), default=0)
    method = (
        f"Two workers of a system, each with a concurrency of 1, and one job that sleeps {JOB_S:g} s. {INTO_S:g} s into"
        " the job SIGKILL goes to every process of the worker that has it; measured is the time from the kill until the"
        " other worker has begun the job, on one monotonic clock. Nothing else waits and nothing else is submitted,"
        " which matters to a system that looks for lost work only while it fetches. Who has not begun within"
        f" {bound_s:g} s is written as not seen: the job may come back later, or never. Append-only file, everysec;"
        " Redis's own defaults for the others."
    )
    rounds = (
        f"Rounds: Reelway {ours}, the others {theirs}. In a round all systems run at the same time, each on a server"
        " of its own, for all of them sleep. Taken by the host (of the machine) and used by other programs (of one"
        f" core), by round: {'; '.join(disturbances)}. Reelway's default is 10 s, so it has no faster setting here; a"
        " reaper runs beside each worker and is killed with it."
    )
    return f"{method}\n\n{rounds}\n\n{kills.HOW}"


def table(results: Sequence[Result]) -> Table:
    rows = tuple(
        Row((each.trial.system.name, each.trial.settings, each.trial.system.recovery), (each.figure,))
        for each in results
    )
    return Table(
        "From SIGKILL to the next start of the job", ("system", "settings", "documented"), ("kill to next start",), rows
    )


def plot(results: Sequence[Result]) -> Plot:
    """One bar a trial, the shortest first."""
    bars = sorted((each.bar for each in results if each.bar is not None), key=lambda bar: (bar[1], bar[0]))
    names, y, low, high = zip(*bars, strict=True) if bars else ((), (), (), ())
    return Plot(
        name="recovery",
        title=f"From SIGKILL to the next start of the job, watched for {results[0].bound_s:g} s",
        kind="bars",
        x_label="",
        y_label="s",
        series=(Series("kill to next start", names, y, low, high),),
        limit=PROMISED_S,
    )


def check(results: Sequence[Result], cases: Sequence[kills.Case]) -> Check:
    ours = [each for result in results if result.trial.ours for each in result.rounds]
    lost = [standstill_s for case in cases for standstill_s in case.all_s]
    seen = [*(each for each in ours if isinstance(each, float)), *lost]
    missed = len(ours) + len(lost) - len(seen)
    return Check(
        what="Reelway with defaults starts the work of a killed worker again, in every kill",
        wanted=f"≤ {PROMISED_S:g} s",
        found=(f"at most {max(seen):.1f} s" if seen else "nothing")
        + f" in {len(seen)} starts"
        + (f", {missed} not seen" if missed else ""),
        met=bool(seen) and not missed and max(seen) <= PROMISED_S,
    )


def says(results: Sequence[Result]) -> str:
    """The order in which the systems come back, and who does not."""
    back = sorted((statistics.median(each.seen_s), each.trial.name) for each in results if each.seen_s)
    away = [each.trial.name for each in results if not each.seen_s and None in each.rounds]
    sentences = [f"Medians: {', '.join(f'{name} {seconds:.1f} s' for seconds, name in back)}."] if back else []
    if away:
        sentences.append(f"Not seen within {results[0].bound_s:g} s: {', '.join(away)}.")
    return " ".join(sentences)
