"""Faults of servers."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from tests.faults.history import TailLost
from tests.faults.injection.cases.case import shows, true_if
from tests.faults.injection.scene import Scene, state_of
from tests.kernel.stages import eventually


@shows("restart_redis")
async def _restart_redis(scene: Scene) -> None:
    server = await scene.start_server()
    pid = server.pid
    await server.client.set("kept", 1)
    async with scene.during("restart_redis"):
        await eventually(lambda: true_if(not server.alive))
    assert server.pid != pid
    assert await server.client.get("kept") == b"1"


@shows("fail_power")
async def _fail_power(scene: Scene) -> None:
    server = await scene.start_server()
    pid = server.pid
    await scene.inflict("fail_power")
    assert server.pid != pid
    assert scene.told(TailLost)


@shows("freeze_redis")
async def _freeze_redis(scene: Scene) -> None:
    server = await scene.start_server()
    async with scene.during("freeze_redis"):
        await eventually(lambda: true_if(state_of(server.pid) == "T"))


@shows("pause_clients")
async def _pause_clients(scene: Scene) -> None:
    await scene.start_server()
    client = scene.client()
    await client.ping()
    began_s = monotonic()
    await scene.inflict("pause_clients")
    assert monotonic() - began_s >= 0.29


@shows("kill_clients")
async def _kill_clients(scene: Scene) -> None:
    await scene.start_server()
    waiting = asyncio.create_task(_ask(scene.client().blpop, ["nothing"]))
    await eventually(lambda: _blocked(scene))
    await scene.inflict("kill_clients")
    with pytest.raises(RedisConnectionError):
        await waiting


@shows("flush_scripts")
async def _flush_scripts(scene: Scene) -> None:
    server = await scene.start_server()
    digest = await server.client.script_load("return 1")
    await scene.inflict("flush_scripts")
    assert await server.client.script_exists(digest) == [False]


@shows("full_memory")
async def _full_memory(scene: Scene) -> None:
    await scene.start_server()
    client = scene.client()

    async def is_full() -> bool:
        try:
            await client.set("a", 1)
        except OutOfMemoryError:
            return True
        return False

    async with scene.during("full_memory"):
        await eventually(is_full)
    assert not await is_full()


@shows("rewrite_aof")
async def _rewrite_aof(scene: Scene) -> None:
    server = await scene.start_server()
    for _ in range(50):
        await server.client.set("a", "a" * 1000)
    before = (await server.client.info("persistence"))["aof_current_size"]
    await scene.inflict("rewrite_aof")
    assert (await server.client.info("persistence"))["aof_current_size"] < before / 2
    # A power failure right behind it cuts the new file, not the old one.
    await server.fail_power()
    assert await server.client.strlen("a") == 1000


async def _ask(call: Callable[..., Awaitable[object]], *arguments: object) -> object:
    return await call(*arguments)


async def _blocked(scene: Scene) -> bool:
    told: Any = await scene.small.servers[0].client.info("clients")
    return bool(told["blocked_clients"] == 1)
