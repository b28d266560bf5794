"""What a session sleeps on."""

import asyncio

import pytest

from gateway.streams.wake import Wake

SOON_S = 5.0


async def test_a_call_ends_the_sleep_and_only_that_one() -> None:
    wake = Wake()
    sleeping = asyncio.create_task(wake.sleep())
    await asyncio.sleep(0)
    wake.call()
    wake.call()
    async with asyncio.timeout(SOON_S):
        await sleeping
    again = asyncio.create_task(wake.sleep())
    await asyncio.sleep(0)
    assert not again.done()
    wake.call()
    async with asyncio.timeout(SOON_S):
        await again


async def test_a_call_that_nobody_slept_through_is_not_lost() -> None:
    wake = Wake()
    wake.call()
    async with asyncio.timeout(SOON_S):
        await wake.sleep()


async def test_a_sleeper_that_was_cancelled_is_in_nobodys_way() -> None:
    wake = Wake()
    sleeping = asyncio.create_task(wake.sleep())
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    wake.call()
    async with asyncio.timeout(SOON_S):
        await wake.sleep()
