"""Waiting for a condition that sends no event, with a deadline."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Returns once `condition` is true; fails the test after `within_s`."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in another process or has no event
            await asyncio.sleep(0.005)
