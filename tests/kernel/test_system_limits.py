"""Named limits against a real Redis: never more holders than places, and no place that stays taken."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from actors.kernel import KernelOptions, RedisOptions, Throttled
from actors.kernel.limits import Limits
from actors.kernel.system_scripts import SYSTEM
from tests.kernel.stages import eventually, server_ms


@pytest.fixture
async def limits(redis_url: str, kernel_options: KernelOptions) -> AsyncIterator[Limits]:
    made = Limits(RedisOptions(url=redis_url), {"youtube": 2}, kernel_options)
    yield made
    await made.stop()


async def test_there_are_never_more_holders_than_places(
    redis_url: str, limits: Limits, kernel_options: KernelOptions
) -> None:
    inside, most = 0, 0
    refused: list[Throttled] = []

    async def hold(number: int) -> None:
        nonlocal inside, most
        try:
            async with limits.place("youtube", f"job-{number}"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.01)
                inside -= 1
        except Throttled as error:
            refused.append(error)

    await asyncio.gather(*(hold(number) for number in range(60)))
    assert most == 2
    assert {error.code for error in refused} == {"LIMIT_REACHED"}
    assert all(1.0 <= (error.retry_after_s or 0.0) <= max(1.0, kernel_options.lease_s) for error in refused)


async def test_a_place_that_was_left_is_free_at_once(limits: Limits) -> None:
    for number in range(10):
        async with limits.place("youtube", f"job-{number}"):
            pass


async def test_a_failing_body_leaves_its_place(redis_client: redis.asyncio.Redis, limits: Limits) -> None:
    with pytest.raises(ValueError, match="bad"):
        async with limits.place("youtube", "job"):
            raise ValueError("bad")
    assert await redis_client.zcard(f"{SYSTEM}limit:youtube") == 0


async def test_a_place_is_kept_for_longer_than_a_lease(
    redis_client: redis.asyncio.Redis, limits: Limits, kernel_options: KernelOptions
) -> None:
    async with limits.place("youtube", "a"), limits.place("youtube", "b"):
        lapsed_ms = await server_ms(redis_client) + kernel_options.lease_ms
        await eventually(lambda: later(redis_client, lapsed_ms), 5.0)
        with pytest.raises(Throttled):
            async with limits.place("youtube", "c"):
                pytest.fail("a third place was given")


async def test_the_place_of_a_dead_holder_ends_by_itself(
    redis_client: redis.asyncio.Redis, limits: Limits, kernel_options: KernelOptions
) -> None:
    ends_ms = await server_ms(redis_client) + kernel_options.lease_ms
    await redis_client.zadd(f"{SYSTEM}limit:youtube", {"dead-1": ends_ms, "dead-2": ends_ms})

    async def free() -> bool:
        try:
            async with limits.place("youtube", "job"):
                return True
        except Throttled:
            return False

    assert not await free()
    await eventually(free, 5.0)


async def test_a_lost_place_ends_the_work_uncharged(
    redis_client: redis.asyncio.Redis, limits: Limits, kernel_options: KernelOptions
) -> None:
    """Redis came back without our place and others have entered: the limit holds."""
    key = f"{SYSTEM}limit:youtube"

    async def hold() -> None:
        async with limits.place("youtube", "job"):
            now_ms = await server_ms(redis_client)
            await redis_client.zrem(key, "job")
            await redis_client.zadd(key, {"x": now_ms + 600, "y": now_ms + 600})
            await asyncio.Event().wait()

    with pytest.raises(Throttled):
        await hold()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_body_stays_cancelled(redis_client: redis.asyncio.Redis, limits: Limits) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with limits.place("youtube", "job"):
            entered.set()
            await asyncio.sleep(30)

    holding = asyncio.create_task(hold())
    await entered.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await redis_client.zcard(f"{SYSTEM}limit:youtube") == 0


async def test_other_names_are_not_limited(redis_client: redis.asyncio.Redis, limits: Limits) -> None:
    async with limits.place("vimeo", "a"), limits.place("vimeo", "b"), limits.place("vimeo", "c"):
        assert await redis_client.keys(f"{SYSTEM}limit:*") == []


async def later(client: redis.asyncio.Redis, moment_ms: float) -> bool:
    return await server_ms(client) > moment_ms
