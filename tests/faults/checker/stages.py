"""The stages of a job: in order, each committed once, by executions that are known."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.faults.checker.evidence import Evidence, Execution, lives_of
from tests.faults.leavings import JobFacts

Found = tuple[str, str | None]
COMMITTING = ("done", "split")


class _Chain(msgspec.Struct, frozen=True):
    fences: tuple[str, ...] = ()


def stages_in_order(evidence: Evidence) -> Iterator[Found]:
    """Stages are started and committed in the planned order, each committed once a life, none without a start.

    A replay begins at the stage in which the job ended, or at the first.
    """
    for job, facts in evidence.leavings.jobs.items():
        if evidence.plan_of(job) is None:
            continue
        walk = _Walk(evidence.stages_of(facts))
        for life in lives_of(facts):
            for event in life:
                message = walk.meets(event)
                if message:
                    yield f"revision {event['rev']}: {message}", job


class _Walk:
    """Follows the events of one job from stage to stage."""

    def __init__(self, stages: tuple[str, ...]) -> None:
        self._stages = stages
        self._at = stages[0] if stages else ""
        self._started = False

    def meets(self, event: dict[str, Any]) -> str | None:
        """What is wrong with the event, seen from those before it."""
        kind, data = event["type"], event["data"]
        if kind == "job.started":
            self._started = True
            return None if data["stage"] == self._at else f"{data['stage']} is started while {self._at} has its turn"
        if kind == "job.replayed":
            right = data["stage"] in (self._at, *self._stages[:1])
            message = None if right else f"{data['stage']} is replayed after the job ended in {self._at}"
            self._at, self._started = data["stage"], False
            return message
        if kind in ("job.stage", "job.waiting"):
            return self._commits(kind, data)
        if kind == "job.completed" and (not self._started or self._at != self._stages[-1:][0]):
            return f"it is completed in {self._at}{'' if self._started else ', which was not started'}"
        return None

    def _commits(self, kind: str, data: dict[str, Any]) -> str | None:
        done, following = self._at, self._after(self._at)
        started, self._started = self._started, False
        if following is None:
            return f"{kind} after {done}, which is its last stage"
        self._at = following
        if not started:
            return f"{done} is committed and was not started"
        if kind == "job.stage" and (data["done"], data["next"]) != (done, following):
            return f"{data['done']} is done, then {data['next']}; it was the turn of {done}, then {following}"
        return None

    def _after(self, stage: str) -> str | None:
        place = self._stages.index(stage) + 1 if stage in self._stages else len(self._stages)
        return self._stages[place] if place < len(self._stages) else None


def chain_of_fences(evidence: Evidence) -> Iterator[Found]:
    """The result of a scripted job names one fence for each step, and an execution of that step ended under each."""
    for job, facts in evidence.leavings.jobs.items():
        if facts.fields.get("state") != "completed" or evidence.is_media(job):
            continue
        stages = evidence.stages_of(facts)
        fences = msgspec.json.decode(facts.fields.get("result") or "{}", type=_Chain).fences
        if len(fences) != len(stages):
            yield f"its result has {len(fences)} fences for {len(stages)} steps", job
            continue
        if fences and fences[-1] != facts.fields.get("fence"):
            yield f"its last step was done under {fences[-1]} and its fence is {facts.fields.get('fence')}", job
        for stage, fence in zip(stages, fences, strict=True):
            if not _committed(evidence, facts, stage, fence):
                yield f"no execution of {stage} came to its end under {fence}", job


def _committed(evidence: Evidence, facts: JobFacts, stage: str, fence: str) -> bool:
    def did(execution: Execution) -> bool:
        started, ended = execution.started, execution.ended
        return (started.stage, started.fence) == (stage, fence) and ended is not None and ended.how in COMMITTING

    return any(did(execution) for execution in evidence.executions.get(facts.job, []))
