"""What waits in one process at the same moment travels in one call.

A single item is sent at once, without a timer; while four calls of a verb are in flight further items gather and leave
together, at most 50 a call.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from actors.kernel.connection import persist
from actors.kernel.items import End
from actors.kernel.worker import ITEMS_PER_CALL

CALLS_IN_FLIGHT = 4
Item = TypeVar("Item")


class Gather(Generic[Item]):
    """One verb of one worker. Calls are sent again until answered: the verbs are repeat-safe."""

    def __init__(self, send: Callable[[str, Sequence[Item]], Awaitable[list[End]]]) -> None:
        self._send = send
        self._waiting: dict[str, deque[tuple[Item, asyncio.Future[End]]]] = defaultdict(deque)
        self._calls: set[asyncio.Task[None]] = set()
        self._soon = False

    async def end(self, partition: str, item: Item) -> End:
        """Sends one item and returns how it stands."""
        answer: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._waiting[partition].append((item, answer))
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._start_calls)
        return await answer

    def _start_calls(self) -> None:
        self._soon = False
        for partition, waiting in self._waiting.items():
            while waiting and len(self._calls) < CALLS_IN_FLIGHT:
                page = [waiting.popleft() for _ in range(min(len(waiting), ITEMS_PER_CALL))]
                call = asyncio.create_task(self._call(partition, page))
                self._calls.add(call)
                call.add_done_callback(self._called)

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._start_calls()

    async def _call(self, partition: str, page: list[tuple[Item, asyncio.Future[End]]]) -> None:
        items = [item for item, _ in page]
        try:
            ends = await persist(lambda: self._send(partition, items))
        except BaseException as error:
            for _, answer in page:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), end in zip(page, ends, strict=True):
            if not answer.done():
                answer.set_result(end)
