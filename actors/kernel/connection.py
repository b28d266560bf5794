"""Connections to Redis, and which errors mean "wait".

redis-py 8 retries by itself and gives every command five seconds; both would break blocking reads and re-send commands
that are not repeat-safe. So: explicit timeouts, no library retries, one protocol version, our own loop (`persist`), and
no CLIENT SETINFO, which servers before 7.2 answer with an error and a strict ACL refuses.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from actors.kernel.options import RedisOptions

WAIT_CODES = (
    "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED", "BUSY", "MISCONF",
)  # fmt: skip
"""Replies of a server that will answer later: fail-over, start, a long script, a full disk."""
Reply = TypeVar("Reply")
FIRST_DELAY_S, LONGEST_DELAY_S = 0.02, 1.0


class StoreFull(Exception):
    """Redis is at maxmemory: new work is refused, running work can finish."""


class StoreUnavailable(Exception):
    """Redis did not answer, or asked to wait, for longer than the caller was willing to."""


def means_wait(error: BaseException) -> bool:
    """Whether a call that ended so may be sent again once the server is back."""
    if isinstance(error, OutOfMemoryError):
        return False
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
        return True
    return isinstance(error, ResponseError) and str(error).lstrip("-").startswith(WAIT_CODES)


def is_full(error: BaseException) -> bool:
    """Whether Redis refused a growing write; inside a script the code is followed by the script's own words."""
    return isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and "OOM command" in str(error))


def connect(options: RedisOptions, *, block_s: float = 0.0, connections: int = 32) -> redis.asyncio.Redis:
    """A client with a pool of its own. `block_s`: the longest blocking read it is used for."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        options.url,
        username=options.username,
        password=options.password,
        socket_connect_timeout=options.connect_timeout_s,
        socket_timeout=options.reply_timeout_s + block_s,
        retry=AsyncRetry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        max_connections=connections,
        timeout=None,
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_blocking(options: RedisOptions) -> redis.Redis:
    """One connection for a thread."""
    return redis.Redis.from_url(
        options.url,
        username=options.username,
        password=options.password,
        socket_connect_timeout=options.connect_timeout_s,
        socket_timeout=options.reply_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        single_connection_client=True,
    )


def jittered(delay_s: float) -> float:
    """Between half of `delay_s` and the whole of it."""
    return delay_s * random.uniform(0.5, 1.0)


async def persist(
    call: Callable[[], Awaitable[Reply]],
    *,
    patience_s: float | None = None,
    unanswered: Callable[[Exception], None] = lambda _: None,
) -> Reply:
    """Sends a repeat-safe call until it is answered; `unanswered` hears each failure that means "wait".

    Raises StoreFull at maxmemory and StoreUnavailable after `patience_s` (None: never); other errors pass.
    """
    loop = asyncio.get_running_loop()
    gives_up_at = None if patience_s is None else loop.time() + patience_s
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return await call()
        except (RedisError, OSError) as error:
            if is_full(error):
                raise StoreFull from error
            if not means_wait(error):
                raise
            if gives_up_at is not None and loop.time() + delay_s > gives_up_at:
                raise StoreUnavailable(str(error)) from error
            unanswered(error)
        await asyncio.sleep(jittered(delay_s))
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)
