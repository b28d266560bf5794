"""Deployments under load: every worker process is stopped by SIGTERM, one after the other, over and over.

A stage that fits into the grace of the drain is never started twice, and no job spends any budget (promise P7).
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM

import msgspec

from tests.faults.checker.checking import Violation
from tests.faults.checker.report import tell
from tests.faults.history import Event, ExecutionStarted, FaultBegan, FaultEnded, Journal, Submitted, now_s
from tests.faults.house.house import House
from tests.faults.house.process import RoleProcess
from tests.faults.house.times import DRAIN_GRACE_S
from tests.faults.leavings import JobFacts, Leavings
from tests.faults.media.jobs import media_job
from tests.faults.plan import JobPlan, Media, Plan, Profile, Scripted, Works
from tests.faults.run import run
from tests.kernel.stages import eventually

JOBS_PER_S = 2.0
LONGEST_FITTING_S = DRAIN_GRACE_S / 2
"""A stage may have begun just before the signal; half of the grace leaves room for a busy machine."""
TOO_LONG = Scripted(steps=(Works(lasts_s=DRAIN_GRACE_S * 1.5, reports=10),))
MEDIA_SHARE, TOO_LONG_SHARE = 0.1, 0.02
TROUBLED = ("oom", "stuck", "refused", "broken")
"""Samples that cost a worker or an error by themselves."""
RESTART_S = 30.0


class Rolled(msgspec.Struct, frozen=True, kw_only=True):
    """What a rolling deployment cost."""

    seed: int
    seconds: float
    stops: int
    jobs: int
    stages: int
    """Executions of stages that fit into the grace, scripted ones and those of the product."""
    repeated: int
    """Of them, those that were started more than once."""
    given_back: int
    """Stages that did not fit, started again without a charge."""
    charged: int
    """Jobs that spent any budget."""
    violations: int

    def line(self) -> str:
        return (
            f"rolling, seed {self.seed}: {self.stops} stops in {self.seconds:.0f} s, {self.jobs} jobs,"
            f" {self.stages} stages that fit, {self.repeated} of them repeated, {self.given_back} longer ones given"
            f" back, {self.charged} jobs charged, {self.violations} violations"
        )


def _calm_job(chance: random.Random) -> Media:
    """A media job that nothing but the deployment can disturb."""
    while True:
        work = media_job(chance)
        if work.ends == ("completed",) and not work.sample.startswith(TROUBLED):
            return work


def deployment(seconds: float, seed: int) -> Plan:
    """Steady work of stages that fit into the grace, some that do not, and media jobs."""
    chance = random.Random(f"rolling {seed}")
    jobs = []
    for number in range(round(seconds * JOBS_PER_S)):
        drawn = chance.random()
        work: Scripted | Media = _calm_job(chance) if drawn < MEDIA_SHARE else TOO_LONG
        if drawn >= MEDIA_SHARE + TOO_LONG_SHARE:
            steps = tuple(Works(lasts_s=chance.uniform(0, LONGEST_FITTING_S), reports=3) for _ in range(3))
            work = Scripted(steps=steps)
        jobs.append(JobPlan(number=number, at_s=number / JOBS_PER_S, tenant="default", work=work))
    profile = Profile(name="rolling", jobs=len(jobs), chaos_s=seconds, faults_per_s=0.0)
    return Plan(seed=seed, profile=profile, jobs=tuple(jobs), faults=())


async def stop_in_turn(plan: Plan, house: House, journal: Journal) -> None:
    """One stop after the other, the next when the process is back."""
    ends_at_s = now_s() + plan.profile.chaos_s
    workers = [process for process in house.processes if "gateway" not in process.roles]
    number = 0
    while now_s() < ends_at_s:
        for process in workers:
            journal.add(FaultBegan(at_s=now_s(), number=number, name="terminate", victims=(process.name,)))
            await _until_back(process)
            journal.add(FaultEnded(at_s=now_s(), number=number, name="terminate"))
            number += 1


async def _until_back(process: RoleProcess) -> None:
    generation = process.generation
    process.signal(SIGTERM)

    async def back() -> bool:
        return process.generation > generation and process.pid is not None

    await eventually(back, DRAIN_GRACE_S + RESTART_S, lambda: f"{process.name} did not come back")


def _charged(job: JobFacts) -> bool:
    """Whether any stage of it cost a budget, by its own history."""
    if int(job.fields.get("crashes") or 0) or int(job.fields.get("attempt") or 0):
        return True
    return any(event["type"] == "job.retrying" and "error" in event["data"] for event in job.log)


def _starts(history: Sequence[Event], leavings: Leavings) -> Counter[tuple[str, str]]:
    """How often each stage of each job was started: by what the workers wrote down, else by the job's own events."""
    starts: Counter[tuple[str, str]] = Counter(
        (event.job, event.stage) for event in history if isinstance(event, ExecutionStarted)
    )
    told: Counter[tuple[str, str]] = Counter(
        (facts.job, event["data"]["stage"])
        for facts in leavings.jobs.values()
        for event in facts.log
        if event["type"] == "job.started"
    )
    return told | starts


def judge(plan: Plan, history: Sequence[Event], leavings: Leavings) -> tuple[Rolled, list[Violation]]:
    """What it cost, and every cost that was not promised. `violations` counts only these."""
    too_long = {job.number for job in plan.jobs if job.work == TOO_LONG}
    long_jobs = {event.job for event in history if isinstance(event, Submitted) and event.number in too_long}
    starts = _starts(history, leavings)
    repeats = {place: times - 1 for place, times in starts.items() if times > 1}
    repeated = [place for place in repeats if place[0] not in long_jobs]
    charged = [facts.job for facts in leavings.jobs.values() if _charged(facts)]
    violations = [
        *(Violation("rolling", f"{stage} was started {starts[job, stage]} times", job) for job, stage in repeated),
        *(Violation("rolling", "a budget was spent", job) for job in charged),
    ]
    rolled = Rolled(
        seed=plan.seed,
        seconds=plan.profile.chaos_s,
        stops=sum(isinstance(event, FaultBegan) for event in history),
        jobs=len(leavings.jobs),
        stages=sum(place[0] not in long_jobs for place in starts),
        repeated=len(repeated),
        given_back=sum(times for place, times in repeats.items() if place[0] in long_jobs),
        charged=len(charged),
        violations=len(violations),
    )
    return rolled, violations


def rolling(seconds: float, seed: int, redis_program: str | None, keep: Path | None, record: Path | None) -> int:
    """1 if a stage was repeated, a budget spent or any other promise broken."""
    plan = deployment(seconds, seed)
    folder = Path(tempfile.mkdtemp(prefix=f"rw-rolling-{seed}-", dir=keep))
    done = asyncio.run(run(plan, folder, redis_program, stop_in_turn))
    rolled, violations = judge(plan, done.history, done.leavings)
    violations = [*done.violations, *violations]
    rolled = msgspec.structs.replace(rolled, violations=len(violations))
    if violations or done.unfinished:
        repeat = f"python -m tests.faults rolling --minutes {seconds / 60:g} --seed {seed}"
        sys.stdout.write(tell(plan, done.history, done.leavings, violations, repeat))
        sys.stdout.write(f"everything of this run: {folder}\n")
    elif keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"{rolled.line()}\n")
    if record is not None:
        with record.open("ab") as file:
            file.write(msgspec.json.encode(rolled) + b"\n")
    return min(len(violations) + len(done.unfinished), 1)
