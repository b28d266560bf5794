"""An actor's surroundings without a server: one job or many, and what is sent for them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from actors.kernel import Commit, End, Fail, Release, Result, Task
from actors.kernel.execution import Ends, Execution, Setting, Watch
from actors.kernel.gather import Gather
from actors.kernel.items import Grant
from actors.kernel.neighbours import Neighbours
from actors.kernel.telemetry import StageTelemetry
from tests.kernel.stages import Plain, Scripted

Work = Callable[[Task], Awaitable[Result]]


class Workplace:
    """Notes what is sent, and when a job's beats end."""

    def __init__(self, work: Work, *, kill_grace_s: float = 5.0, refusal: Exception | None = None) -> None:
        self.sent: list[Commit | Fail | Release] = []
        self.abandoned: list[Task] = []
        self.ended: list[Task] = []
        self.running: dict[Task, Execution] = {}
        self._refusal = refusal
        gathers: list[Gather[Any]] = [Gather(self._send), Gather(self._send), Gather(self._send)]
        self.setting = Setting(
            Scripted(work), Plain(), Ends(*gathers), Watch(60.0, kill_grace_s),
            StageTelemetry("a", lambda: len(self.running)), Neighbours(), self.abandoned.append, self._end,
        )  # fmt: skip

    async def _send(self, partition: str, items: Sequence[Any]) -> list[End]:
        if self._refusal is not None:
            raise self._refusal
        self.sent += items
        return [End.OK for _ in items]

    def _end(self, task: Task) -> None:
        self.ended.append(task)
        del self.running[task]

    def run(self, job: str = "j00-x") -> Execution:
        task = Task(grant_of(job), lambda _: None, None)  # type: ignore[arg-type]
        execution = self.running[task] = Execution(task, "00", self.setting)
        execution.start()
        return execution

    async def until_ended(self) -> None:
        async with asyncio.timeout(5):
            while self.running:  # noqa: ASYNC110 - turns of the loop are what these tests are about
                await asyncio.sleep(0)


def grant_of(job: str) -> Grant:
    return Grant(
        job=job, fence="1.n", stage="a", tenant="t", kind="media", attempt=0, crashes=0, deadline_ms=0, lane="cpu",
        priority="normal", percent=0.0, parent="", children=0, spec=b"{}", input=b"{}", refs=(),
    )  # fmt: skip


async def settle() -> None:
    """More turns of the event loop than anything needs here."""
    for _ in range(10):
        await asyncio.sleep(0)
