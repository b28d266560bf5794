"""Gives back, uncharged, every lease that the processes of an instance that died may have left.

Run by the supervisor after Redis answers and before its actors start, so nobody can hold a lease at that moment.
"""

import asyncio
import os

from actors.installation import kernel_options, redis_options
from actors.kernel import Keeper, Partitions, connect
from actors.settings import load


async def give_back() -> None:
    """Every partition of the instance that the environment names."""
    settings = load(os.environ, None, {})
    redis = connect(redis_options(settings))
    try:
        partitions = Partitions(settings.redis.partitions)
        keeper = Keeper(redis, partitions, kernel_options(settings))
        for partition in partitions:
            await keeper.give_back(partition)
    finally:
        await redis.aclose()


if __name__ == "__main__":
    asyncio.run(give_back())
