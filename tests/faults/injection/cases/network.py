"""Faults of the way to Redis, with a client in the place of a process."""

import contextlib
import random
from time import monotonic

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from actors.kernel.scripts import script, verbs
from tests.faults.history import FaultBegan
from tests.faults.injection.cases.case import shows
from tests.faults.injection.scene import Scene


@shows("lose_reply")
async def _lose_reply(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    answered = 0
    async with scene.during("lose_reply", lasts_s=10.0):
        with contextlib.suppress(RedisConnectionError):
            while answered < 100:
                answered = await client.incr("answered")
    assert answered < 40
    assert proxy.losses == 1
    # It was carried out all the same.
    assert await scene.client().get("answered") == str(answered + 1).encode()


@shows("lose_reply_of")
async def _lose_reply_of(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    lost = []
    async with scene.during("lose_reply_of", lasts_s=10.0):
        for verb in verbs():
            try:
                await client.execute_command("EVALSHA", script(verb).digest, 0)  # type: ignore[no-untyped-call]
            except RedisConnectionError:
                lost.append(verb)
            except RedisError:
                pass
    began = scene.told(FaultBegan)[0]
    assert isinstance(began, FaultBegan)
    assert [began.detail] == [f"of {verb}" for verb in lost]
    assert proxy.losses == 1


@shows("blackhole")
async def _blackhole(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    await client.ping()
    async with scene.during("blackhole", seed=seed_of_blackhole(breaks=False)):
        assert proxy.hung.is_set()
        began_s = monotonic()
        assert await client.incr("asked") == 1
        assert monotonic() - began_s > 0.2


def seed_of_blackhole(*, breaks: bool) -> int:
    """One with which a blackhole of the only process ends so."""

    def draws(seed: int) -> bool:
        chance = random.Random(seed)
        chance.choice(["the process"])
        return chance.random() < 0.5

    return next(seed for seed in range(100) if draws(seed) == breaks)
