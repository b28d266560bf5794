"""The client of one job, as patient as a client has to be: it comes back until it has been answered.

submit ─► watch, cancel ─► until it has ended ─► replay ─► …    and again from the start if the job is lost
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

from actors.kernel import TERMINAL
from tests.faults.history import CancelAnswered, Journal, Missing, Refused, ReplayAnswered, Submitted, now_s
from tests.faults.load.board import MISSING, Board
from tests.faults.load.doors import Accepted, Door, NotNow, Unanswered
from tests.faults.load.watching import Watcher
from tests.faults.plan import JobPlan

PAUSES_S = (0.2, 1.0)
"""Before something is asked again; drawn each time."""
WITHOUT_SUCCESS = frozenset({"failed", "cancelled", "expired"})
Answer = TypeVar("Answer")


class JobClient:
    """Does with one job what its plan says, and writes down what it is answered."""

    def __init__(
        self, plan: JobPlan, key: str, door: Door, board: Board, watchers: Sequence[Watcher], journal: Journal
    ) -> None:
        self.plan = plan
        self._key = key
        self._door = door
        self._board = board
        self._watchers = watchers
        self._journal = journal
        self._chance = random.Random(f"client {key}")
        self.job: str | None = None
        """Its id, once it was accepted. Another one if it was lost and submitted again."""
        self._status = "not due yet"
        """The last answer that was none, for whoever asks what it waits for."""
        self._cancel: Literal["planned", "answered"] = "answered" if plan.cancel_after_s is None else "planned"
        self._replay: Literal["planned", "answered"] = "planned" if plan.replayed else "answered"
        self._state: str | None = None
        self._news = asyncio.Event()

    @property
    def name(self) -> str:
        """For people."""
        return f"job {self.plan.number} of {self.plan.tenant}"

    async def run(self, began_s: float) -> None:
        """From its time on, `began_s` being the beginning of the load. Never ends by itself: ends can be undone."""
        await asyncio.sleep(max(0.0, began_s + self.plan.at_s - now_s()))
        await self._submit()
        async with asyncio.TaskGroup() as group:
            for watcher in self._watchers:
                group.create_task(watcher.run(self._id))
            if self._cancel == "planned":
                group.create_task(self._cancel_it())
            group.create_task(self._attend())

    def waits_for(self) -> str | None:
        """Why it is not through; None when it is, as far as it knows."""
        name = self.name
        if self.job is None:
            return f"{name} is not accepted: {self._status}"
        name += f", {self.job}"
        state = self._board.state(self.job)
        if state not in TERMINAL:
            return f"{name}, is {state if state is not None else 'not read yet'}"
        if self._cancel == "planned":
            return f"{name}, is {state}, and its cancel is not answered: {self._status}"
        if self._replay == "planned" and state in WITHOUT_SUCCESS:
            return f"{name}, is {state}, and its replay is not answered: {self._status}"
        watching = [watcher for watcher in self._watchers if not watcher.done]
        return f"{name}, is {state}, and {watching[0].describe()}" if watching else None

    @property
    def _id(self) -> str:
        assert self.job is not None
        return self.job

    async def _submit(self) -> None:
        def refused(asked_s: float, status: str) -> None:
            self._journal.add(Refused(at_s=now_s(), asked_s=asked_s, status=status, number=self.plan.number))

        asked_s = now_s()
        accepted: Accepted = await self._until_answered(self._door.submit, refused)
        self._journal.add(
            Submitted(
                at_s=now_s(),
                asked_s=asked_s,
                status=accepted.status,
                number=self.plan.number,
                job=accepted.job,
                tenant=self.plan.tenant,
                key=self._key,
            )
        )
        # What was heard of an earlier job of this client, which is lost, says nothing about this one.
        self.job, self._state = accepted.job, None
        self._news.clear()
        self._board.follow(accepted.job, partial(self._heard, accepted.job))

    async def _cancel_it(self) -> None:
        assert self.plan.cancel_after_s is not None
        await asyncio.sleep(self.plan.cancel_after_s)
        asked_s, asked_for = now_s(), self._id
        status = await self._until_answered(lambda: self._door.cancel(asked_for))
        self._journal.add(CancelAnswered(at_s=now_s(), asked_s=asked_s, status=status, job=asked_for))
        self._cancel = "answered"
        self._board.look_again(self._id)

    async def _attend(self) -> None:
        """Replays it when it has ended without success, and submits it again when it is lost."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._state == MISSING:
                lost = self._id
                self._journal.add(Missing(at_s=now_s(), job=lost))
                await self._submit()
                if self.job == lost:
                    # The key still names what is not there any more; that will not change soon.
                    await asyncio.sleep(PAUSES_S[1])
                else:
                    self._board.forget(lost)
            elif self._state in WITHOUT_SUCCESS and self._replay == "planned":
                await self._replay_it()

    async def _replay_it(self) -> None:
        asked_s, asked_for = now_s(), self._id
        status = await self._until_answered(lambda: self._door.replay(asked_for))
        self._journal.add(ReplayAnswered(at_s=now_s(), asked_s=asked_s, status=status, job=asked_for))
        self._replay = "answered"
        self._board.look_again(asked_for)

    def _heard(self, job: str, state: str) -> None:
        if job != self.job:
            return
        self._state = state
        self._news.set()

    async def _until_answered(
        self,
        ask: Callable[[], Awaitable[Answer]],
        refused: Callable[[float, str], None] = lambda _asked_s, _status: None,
    ) -> Answer:
        while True:
            asked_s = now_s()
            try:
                return await ask()
            except Unanswered as error:
                self._status = str(error)
            except NotNow as error:
                self._status = str(error)
                refused(asked_s, self._status)
            await asyncio.sleep(self._chance.uniform(*PAUSES_S))
