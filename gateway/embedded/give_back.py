"""Gives back, uncharged, every lease that the processes of an instance that died may have left.

Run by the supervisor after Redis answers and before its actors start, so nobody can hold a lease at that moment.
"""

import asyncio
import os

from actors.kernel import Keeper, Partitions, RedisOptions, connect
from actors.settings import load


async def give_back() -> None:
    """Every partition of the instance that the environment names."""
    settings = load(os.environ, None, {})
    redis = connect(RedisOptions(url=settings.redis.url))
    try:
        partitions = Partitions(settings.redis.partitions)
        keeper = Keeper(redis, partitions, settings.kernel)
        for number in range(settings.redis.partitions):
            await keeper.give_back(f"{number:02d}")
    finally:
        await redis.aclose()


if __name__ == "__main__":
    asyncio.run(give_back())
