"""Processes: how they ended, and that they did."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence, Process
from tests.faults.history import ExecutionEnded
from tests.faults.plan import Media

Found = tuple[str, str | None]
DEADLY = {
    "kill": (-9,),
    "kill_worker": (-9,),
    "terminate": (0, -15, -9),
    "terminate_twice": (0, -15, 1, -9),
    "kill_in_drain": (0, -15, -9),
}
"""Faults that end a process, and the statuses it may end with. -15: it had no handler yet, or no more. -9 after
SIGTERM: another one of them hit it as well."""
AFTER_S = 20.0
"""From the fault until a process ends that drains, hangs and is frozen meanwhile."""


def everybody_ended(evidence: Evidence) -> Iterator[Found]:
    """After SIGTERM to all, every process ends with status 0, and nothing that they started still runs."""
    for name, status in sorted(evidence.leavings.exits.items()):
        if status != 0:
            yield f"{name} ended with status {status} at the end of the run", None
    for pid, command in sorted(evidence.leavings.processes.items()):
        yield f"process {pid} still runs: {command}", None


def deaths_have_causes(evidence: Evidence) -> Iterator[Found]:
    """No process ends by itself: each end is one that we caused, or that a scripted step did, or the end of the run."""
    planned = {event.pid for event in evidence.all(ExecutionEnded) if event.how == "kills"}
    devoured = _devoured(evidence)
    for process in evidence.processes:
        if process.status is None or (process.status == -9 and process.pid in planned):
            continue
        if process.status == 0 and process.name in evidence.leavings.exits and _is_last(evidence, process):
            continue
        if not _hit(evidence, process):
            if process.status == -9 and "transcode" in process.roles and devoured > 0:
                devoured -= 1
                continue
            yield f"{process.name} ended by itself with status {process.status} at {process.ended_at_s:.3f}", None


def _devoured(evidence: Evidence) -> int:
    """How many transcode processes die of files that take all memory: the first encode of each job with one."""
    if evidence.plan.profile.ffmpeg != "stand_in":
        return 0
    plans = [evidence.plan_of(job) for job in evidence.numbers]
    return sum(
        isinstance(plan.work, Media) and plan.work.sample.startswith("oom") for plan in plans if plan is not None
    )


def _hit(evidence: Evidence, process: Process) -> bool:
    return any(
        process.name in fault.victims
        and process.status in DEADLY.get(fault.name, ())
        and fault.began_at_s - 1.0 <= process.ended_at_s <= fault.began_at_s + AFTER_S
        for fault in evidence.faults
    )


def _is_last(evidence: Evidence, process: Process) -> bool:
    return not any(other.name == process.name and other.ended_at_s > process.ended_at_s for other in evidence.processes)
