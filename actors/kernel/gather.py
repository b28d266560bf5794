"""What waits in one process at the same moment travels in one call.

Without a timer: where nothing of a partition is in flight, what ends in one turn of the event loop leaves in the next.
While a call is in flight further items gather and leave with its answer, or as soon as they fill a page: a server
that is busy gets few large calls, which cost it and us much less than many small ones.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import structlog

from actors.kernel.connection import persist
from actors.kernel.ending import end_tasks
from actors.kernel.items import End
from actors.kernel.worker import ITEMS_PER_CALL

CALLS_IN_FLIGHT = 4
"""Of one verb, over all partitions. Of one partition a second call carries a full page."""
Item = TypeVar("Item")
Answered = Callable[[End | Exception], None]
"""Hears how an item stands, or why its call will never be answered."""
log = structlog.get_logger("kernel.gather")


class Gather(Generic[Item]):
    """One verb of one worker. Calls are sent again until answered: the verbs are repeat-safe."""

    def __init__(self, send: Callable[[str, Sequence[Item]], Awaitable[list[End]]]) -> None:
        self._send = send
        self._waiting: dict[str, deque[tuple[Item, Answered]]] = {}
        """By partition; the one that was served last is at the end."""
        self._filling: set[str] = set()
        """Partitions with a call that begins in the next turn, and takes along what waits by then."""
        self._calls: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[str] = Counter()
        """Calls by partition, those that fill among them."""
        self._closed = False

    async def end(self, partition: str, item: Item) -> End:
        """Sends one item and returns how it stands."""
        answer: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.add(partition, item, partial(_resolve, answer))
        return await answer

    def add(self, partition: str, item: Item, answered: Answered) -> None:
        """Sends one item; `answered` is called once, unless the gathering is closed before."""
        if self._closed:
            return
        waiting = self._waiting.get(partition)
        if waiting is None:
            waiting = self._waiting[partition] = deque()
        waiting.append((item, answered))
        if partition not in self._filling:
            self._start_call(partition)

    async def close(self) -> None:
        """Ends what is in flight; nobody hears of it."""
        self._closed = True
        self._waiting.clear()
        await end_tasks(list(self._calls))

    def _start_call(self, partition: str) -> None:
        """Starts a call where one is due."""
        waiting = self._waiting.get(partition)
        if not waiting or partition in self._filling or len(self._calls) >= CALLS_IN_FLIGHT:
            return
        if self._in_flight[partition] and len(waiting) < ITEMS_PER_CALL:
            return
        self._filling.add(partition)
        self._in_flight[partition] += 1
        call = asyncio.create_task(self._call(partition))
        self._calls.add(call)
        call.add_done_callback(partial(self._called, partition))

    def _called(self, partition: str, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._in_flight[partition] -= 1
        for waiting in list(self._waiting):
            self._start_call(waiting)

    def _fill(self, partition: str) -> list[tuple[Item, Answered]]:
        self._filling.discard(partition)
        waiting = self._waiting.pop(partition)
        page = [waiting.popleft() for _ in range(min(len(waiting), ITEMS_PER_CALL))]
        if waiting:
            # Behind the other partitions, so that none of them waits for ever while four calls are in flight.
            self._waiting[partition] = waiting
            self._start_call(partition)
        return page

    async def _call(self, partition: str) -> None:
        page = self._fill(partition)
        items = [item for item, _ in page]
        try:
            ends = await persist(lambda: self._send(partition, items))
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer hears it
            for _, answered in page:
                _tell(answered, error)
            return
        for (_, answered), end in zip(page, ends, strict=True):
            _tell(answered, end)


def _tell(answered: Answered, end: End | Exception) -> None:
    """One listener's failure must not cost the others their answers."""
    try:
        answered(end)
    except Exception:
        log.exception("end.unheard")


def _resolve(answer: asyncio.Future[End], end: End | Exception) -> None:
    if answer.done():
        return
    if isinstance(end, Exception):
        answer.set_exception(end)
    else:
        answer.set_result(end)
