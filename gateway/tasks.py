"""Ending background tasks."""

import asyncio
from collections.abc import Iterable

ASK_AGAIN_S = 0.05


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels the tasks and returns when none of them runs.

    Asks again until they have ended: redis-py loses about one cancellation in some hundred, when it arrives in the same
    turn of the loop as the reply.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=ASK_AGAIN_S)
