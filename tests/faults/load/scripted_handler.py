"""The handler of scripted jobs: does what the plan says for its step, and writes down that it did.

What a job brings along is checked before anything is done: the chain of fences in its input proves that each earlier
step was committed once and in order, and the rows of its children that the parent went on after the last of them.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import Sequence

import structlog

from actors.kernel import Cancelled, Child, ChildRow, Done, Next, Permanent, Result, Split, Task, Throttled, Transient
from actors.media.task import decode, encode
from tests.faults.history import ExecutionEnded, ExecutionStarted, Journal, now_s
from tests.faults.house.times import LEASE_S
from tests.faults.load.bodies import (
    FIRST_INPUT,
    STAGES,
    ScriptedInput,
    ScriptedResult,
    ScriptedSpec,
    progress_of,
    spec_of,
)
from tests.faults.load.ends import natural_end
from tests.faults.plan import Errs, Hangs, Kills, Refuses, Splits, Step, Works

ROWS_PER_PAGE = 100
log = structlog.get_logger("faults.scripted")


class BrokenPromise(Exception):
    """What the handler was given cannot be. It is no StageFailure, so it is reported as a bug."""


class ScriptedHandler:
    """One step of scripted jobs, as the stage of that name."""

    def __init__(self, stage: str, journal: Journal) -> None:
        self.stage = stage
        self._journal = journal
        self._step = STAGES.index(stage) + 1

    async def handle(self, task: Task) -> Result:
        """Journals its beginning, and its end whichever it is. One that is killed from outside has no end."""
        self._begins(task)
        try:
            result = await self._carry_out(task)
        except (asyncio.CancelledError, Cancelled):
            self._ends(task, "stopped")
            raise
        except Transient:
            self._ends(task, "error")
            raise
        except Throttled:
            self._ends(task, "throttled")
            raise
        except Permanent:
            self._ends(task, "refused")
            raise
        except Exception as error:
            self._ends(task, "bug")
            log.exception("scripted.broken_promise", job=task.job, stage=task.stage, fence=task.fence, error=str(error))
            raise
        self._ends(task, "split" if isinstance(result, Split) else "done")
        return result

    async def _carry_out(self, task: Task) -> Result:
        steps = decode(ScriptedSpec, task.spec).steps
        given = decode(ScriptedInput, task.input)
        self._check_chain(task, given, steps)
        before = steps[self._step - 2] if self._step > 1 else None
        if isinstance(before, Splits):
            await self._meet_children(task, before)
        step = steps[self._step - 1]
        await self._do(task, step, len(steps))
        chain = (*given.fences, task.fence)
        if self._step == len(steps):
            return Done(encode(ScriptedResult(fences=chain)))
        following = encode(ScriptedInput(step=self._step + 1, fences=chain))
        if isinstance(step, Splits):
            return Split(STAGES[self._step], following, reach=100.0 * self._step / len(steps))
        return Next(STAGES[self._step], following)

    async def _meet_children(self, task: Task, split: Splits) -> None:
        rows = await read_rows(task, len(split.children))
        try:
            check_rows(task.job, split, rows)
        except BrokenPromise:
            # Whoever lost the job while it stood still may find the children of its next life. It is stopped by then.
            await asyncio.sleep(LEASE_S * 2)
            raise

    async def _do(self, task: Task, step: Step, count: int) -> None:
        """The step itself, up to its end."""
        match step:
            case Works(lasts_s=lasts_s, reports=reports):
                await self._work(task, lasts_s, reports, count)
            case Errs(times=times, lasts_s=lasts_s):
                await asyncio.sleep(lasts_s)
                if task.attempt < times:
                    raise Transient("NET_TEMP", f"as planned, {task.attempt + 1} of {times}")
            case Kills(times=times):
                if task.crashes < times:
                    self._ends(task, "kills")
                    os.kill(os.getpid(), signal.SIGKILL)
            case Hangs(times=times):
                if task.attempt < times:
                    await asyncio.Event().wait()
            case Refuses():
                raise Permanent("NOT_MEDIA", "as planned")
            case Splits():
                await self._split(task, step)

    async def _work(self, task: Task, lasts_s: float, reports: int, count: int) -> None:
        report = progress_of(task.stage)
        for number in range(1, reports + 1):
            await asyncio.sleep(lasts_s / (reports + 1))
            task.report(100.0 * (self._step - 1 + number / (reports + 1)) / count, report)
        await asyncio.sleep(lasts_s / (reports + 1))

    async def _split(self, task: Task, step: Splits) -> None:
        await task.spawn(
            [
                Child(
                    number=number,
                    stage=STAGES[0],
                    spec=spec_of(f"{task.job}.{number}", steps),
                    input=FIRST_INPUT,
                    listed=step.listed,
                )
                for number, steps in enumerate(step.children, start=1)
            ],
            step.on_child_failure,
        )

    def _check_chain(self, task: Task, given: ScriptedInput, steps: Sequence[Step]) -> None:
        if given.step != self._step or self._step > len(steps) or len(given.fences) != self._step - 1:
            message = f"{task.stage} of {len(steps)} steps was given the input of step {given.step}: {given.fences}"
            raise BrokenPromise(message)
        takes = [int(fence.partition(".")[0]) for fence in (*given.fences, task.fence)]
        if any(later <= earlier for earlier, later in itertools.pairwise(takes)):
            message = f"the fences of the steps do not follow each other: {given.fences}, then {task.fence}"
            raise BrokenPromise(message)

    def _begins(self, task: Task) -> None:
        self._journal.add(
            ExecutionStarted(
                at_s=now_s(),
                job=task.job,
                stage=task.stage,
                fence=task.fence,
                tenant=task.tenant,
                attempt=task.attempt,
                crashes=task.crashes,
                pid=os.getpid(),
            )
        )

    def _ends(self, task: Task, how: str) -> None:
        self._journal.add(
            ExecutionEnded(at_s=now_s(), job=task.job, stage=task.stage, fence=task.fence, pid=os.getpid(), how=how)  # type: ignore[arg-type]
        )


async def read_rows(task: Task, count: int) -> list[ChildRow]:
    """Every row of the task's children, page by page; `count` as planned, and one row more if there is one."""
    rows: list[ChildRow] = []
    for first in range(1, count + 2, ROWS_PER_PAGE):
        rows += await task.children(first, ROWS_PER_PAGE)
    return rows


def check_rows(job: str, split: Splits, rows: Sequence[ChildRow]) -> None:
    """Raises BrokenPromise unless every planned child, and no other, has an end that allowed the parent to go on."""
    named = [(row.number, row.job) for row in rows]
    planned = [(number, f"{job}.{number}") for number in range(1, len(split.children) + 1)]
    if named != planned:
        message = f"{job} has the children {named} and not the {len(planned)} that were planned"
        raise BrokenPromise(message)
    for row, steps in zip(rows, split.children, strict=True):
        failed = row.state in ("failed", "expired")
        if row.state not in ("completed", "cancelled") and not failed:
            message = f"{job} went on while its child {row.number} is {row.state}"
            raise BrokenPromise(message)
        if failed and split.on_child_failure == "fail":
            message = f"{job} went on although its child {row.number} is {row.state} and was needed"
            raise BrokenPromise(message)
        if row.state == "completed" and natural_end(steps) != "completed":
            message = f"child {row.number} of {job} completed and cannot have"
            raise BrokenPromise(message)
        if row.state == "completed" and not row.fence:
            message = f"child {row.number} of {job} completed under no fence"
            raise BrokenPromise(message)
