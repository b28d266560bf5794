"""Ending background tasks, although redis-py may lose a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any

ASK_AGAIN_S = 0.05


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels the tasks and returns when none of them runs; how they ended is dropped.

    Asks again until they have ended: redis-py 8 loses a cancellation that meets it while it connects, or in the same
    turn of the loop as the reply.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=ASK_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()
