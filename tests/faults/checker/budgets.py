"""What was charged: within the budgets, and crashes only for workers that we took away."""

from collections.abc import Iterator

from tests.faults.checker.ends import budget_of, charged_errors, reaped, workers_taken_from
from tests.faults.checker.evidence import Evidence, events_of, lives_of
from tests.faults.history import ExecutionStarted
from tests.faults.house.times import CRASH_BUDGET
from tests.faults.leavings import JobFacts

Found = tuple[str, str | None]


def numbers_within_budgets(evidence: Evidence) -> Iterator[Found]:
    """No stage is charged more errors or more lost workers than its budgets hold, in any life of its job."""
    for job, facts in evidence.leavings.jobs.items():
        stage = facts.fields.get("stage", "")
        attempt, crashes = int(facts.fields.get("attempt") or 0), int(facts.fields.get("crashes") or 0)
        if attempt > _most_errors(facts, stage):
            yield f"{attempt} errors are charged to {stage}", job
        if crashes > CRASH_BUDGET:
            yield f"{crashes} lost workers are charged to {stage}", job
        for life in lives_of(facts):
            for at in _stages(facts):
                # The one that spends the budget is job.failed and not job.retrying.
                charged = charged_errors(life, at)
                if charged >= _most_errors(facts, at):
                    yield f"{at} was tried again after {charged} errors", job
    # Leases that ran out cannot be counted: a worker that comes back takes its crash back, and no event says so.
    for start in evidence.all(ExecutionStarted):
        if start.crashes >= CRASH_BUDGET:
            yield f"{start.stage} was started again after {start.crashes} lost workers", start.job


def charges_have_causes(evidence: Evidence) -> Iterator[Found]:
    """P2, P7: a lease runs out only when its worker died or was silent: as many as were reaped were hit by us.

    A stop by SIGTERM gives work back and is no cause, as long as the process ends by itself and writes its ends.
    """
    for job, facts in evidence.leavings.jobs.items():
        if evidence.plan_of(job) is None:
            continue
        for stage in _stages(facts):
            life = lives_of(facts)[-1]
            lost = reaped(life, stage)
            taken = workers_taken_from(evidence, facts, stage) if lost else 0
            if lost > taken:
                yield f"{stage} lost {lost} leases, and we took {taken} workers from it", job


def _stages(facts: JobFacts) -> list[str]:
    return sorted({event["data"]["stage"] for event in events_of(facts, "job.started")})


def _most_errors(facts: JobFacts, stage: str) -> int:
    """The budget of the stage, or that of the last error's code where the table says so."""
    codes = [
        event["data"]["error"]["code"]
        for event in events_of(facts, "job.retrying", "job.failed")
        if "error" in event["data"]
    ]
    return max([budget_of(stage, code) for code in codes], default=budget_of(stage, ""))
