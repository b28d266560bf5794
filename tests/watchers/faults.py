"""What happens to an installation while it is watched."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import RedisServer
from tests.watchers.checker import Allowed
from tests.watchers.scene import Crowd, Scene
from tests.watchers.target import Transport
from tests.watchers.watcher import Manners

NOTHING = Allowed()
MISSED = Allowed(resync=True)
AWAY_S = 0.5
LOST_S = 1.0
UNWRITTEN_MS = 250
"""A transition has its time before it is in the file."""


def _transport(number: int) -> Transport:
    return "ws" if number % 2 else "sse"


def _mixed(number: int) -> Manners:
    """One in five breaks its connection now and then."""
    return Manners(retry_scale=0.2, cuts=0.01 if number % 10 < 2 else 0.0, transport=_transport(number))


def _slow(number: int) -> Manners:
    """One in five takes little and pauses long."""
    slow = Manners(0.2, pauses=4, receive_buffer_bytes=4096, transport=_transport(number))
    return slow if number % 10 < 2 else Manners(0.2, transport=_transport(number))


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` returns, when it is over, what it excuses."""

    name: str
    strike: Callable[[Scene, float], Awaitable[Allowed]]
    gateways: int = 1
    crowd: Crowd = _mixed
    padding_bytes: int = 0


async def _gateway_killed(scene: Scene, around_s: float) -> Allowed:
    for gateway in scene.gateways:
        await gateway.kill()
    await asyncio.sleep(AWAY_S)
    for gateway in scene.gateways:
        await gateway.start()
    return NOTHING


async def _redis_restarted(scene: Scene, around_s: float) -> Allowed:
    scene.server.kill()
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(scene.server.start)
    return NOTHING


async def _feed_trimmed(scene: Scene, around_s: float) -> Allowed:
    """While the gateway stands still, more happens than the feed holds."""
    scene.gateways[0].send(signal.SIGSTOP)
    before = sum(scene.producer.transitions.values())
    await _until(lambda: sum(scene.producer.transitions.values()) > before + len(scene.producer.jobs))
    await scene.client.xtrim(scene.partitions.keys("00").feed, maxlen=1, approximate=False)
    scene.gateways[0].send(signal.SIGCONT)
    return MISSED


async def _epoch_lost(scene: Scene, around_s: float) -> Allowed:
    keys = scene.partitions.keys("00")
    await scene.client.delete(keys.feed, keys.epoch)
    return MISSED


async def _last_second_lost(scene: Scene, around_s: float) -> Allowed:
    """A power failure: what the file had not held a second ago is undone."""
    file = append_only_file(scene.server)
    since_ms, held_bytes = round(time.time() * 1000) - UNWRITTEN_MS, file.stat().st_size
    await asyncio.sleep(LOST_S)
    scene.server.kill()
    until_ms = round(time.time() * 1000)
    with file.open("r+b") as opened:
        opened.truncate(held_bytes)
    await asyncio.to_thread(scene.server.start)
    return Allowed(resync=True, undone_ms=(since_ms, until_ms))


async def _nothing(scene: Scene, around_s: float) -> Allowed:
    await asyncio.sleep(around_s)
    return NOTHING


async def _rolling_restart(scene: Scene, around_s: float) -> Allowed:
    for gateway in scene.gateways:
        assert await gateway.end() == 0
        await gateway.start()
        await asyncio.sleep(around_s / 4)
    return NOTHING


def append_only_file(server: RedisServer) -> Path:
    """The one that grows, in the layout of the server's version."""
    growing = [*server.directory.glob("appendonlydir/*.incr.aof")]
    return growing[0] if growing else server.directory / "appendonly.aof"


FAULTS = (
    Fault("gateway killed", _gateway_killed),
    Fault("redis restarted", _redis_restarted),
    Fault("feed trimmed", _feed_trimmed),
    Fault("epoch lost", _epoch_lost),
    Fault("last second lost", _last_second_lost),
    Fault("slow readers", _nothing, crowd=_slow, padding_bytes=30_000),
    Fault("rolling restart", _rolling_restart, gateways=2),
)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
