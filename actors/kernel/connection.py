"""Connections to Redis, and which errors mean "wait".

redis-py 8 retries by itself and gives every command five seconds; both would break blocking reads and re-send commands
that are not repeat-safe. So: explicit timeouts, no library retries, one protocol version, our own loop (`persist`), and
no CLIENT SETINFO, which servers before 7.2 answer with an error and a strict ACL refuses.
"""

import asyncio
import random
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from actors.kernel.address import Node, parse_address
from actors.kernel.options import RedisOptions
from actors.kernel.routed import RoutedClient
from actors.kernel.topology import Directory, WrongTopology, read_cluster, sentinel_reader
from actors.kernel.transport import OURS, Pool, Tcp, Tls

WAIT_CODES = (
    "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED", "BUSY", "MISCONF",
)  # fmt: skip
"""Replies of a server that will answer later: fail-over, start, a long script, a full disk."""
_WAIT = re.compile(rf"(?:^|-)(?:{'|'.join(WAIT_CODES)})\b")
"""At the beginning; behind a minus where a script of Redis 6.2 passes on what a command inside it was answered."""
_NAMED_WAITS = (ReadOnlyError, ClusterDownError, TryAgainError)
"""Their codes are not in their texts any more; MASTERDOWN is a ClusterDownError and LOADING a connection error."""
TOPOLOGY_TIMEOUT_S = 1.0
"""For questions about who serves what: somebody else can be asked."""
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
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError, *_NAMED_WAITS)):
        return True
    return isinstance(error, ResponseError) and _WAIT.search(str(error)) is not None


def is_full(error: BaseException) -> bool:
    """Whether Redis refused a growing write; inside a script the code is followed by the script's own words."""
    return isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and "OOM command" in str(error))


def is_refused(error: BaseException | None) -> bool:
    """Whether somebody has to change something first: password, user, rights, certificate, or the address.

    A running role waits for that too; one that starts says it and ends.
    """
    refusals = (AuthenticationError, AuthorizationError, NoPermissionError, WrongTopology, ssl.SSLCertVerificationError)
    while error is not None:
        if isinstance(error, refusals):
            return True
        error = error.__cause__ or error.__context__
    return False


def connect(options: RedisOptions, *, block_s: float = 0.0, connections: int = 32) -> redis.asyncio.Redis:
    """A client for one event loop, with pools of its own. Raises BadAddress.

    `block_s`: the longest blocking read it is used for. `connections`: the most it opens, on a Redis Cluster to each
    node; a call waits for a free one.
    """
    address = parse_address(options.url)
    common: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        **(_tls(options) if address.tls else {}),
    }
    calls: dict[str, Any] = {
        **common,
        "username": options.username,
        "password": options.password,
        "socket_connect_timeout": options.connect_timeout_s,
        "socket_timeout": options.reply_timeout_s + block_s,
    }
    if address.kind == "standalone":
        pool = Pool.from_url(address.url, max_connections=connections, timeout=None, **calls)
        pool.connection_class = OURS[pool.connection_class]
        return _client(pool)
    questions = {
        **(calls if address.kind == "cluster" else common),
        "socket_connect_timeout": min(TOPOLOGY_TIMEOUT_S, options.connect_timeout_s),
        "socket_timeout": min(TOPOLOGY_TIMEOUT_S, options.reply_timeout_s),
    }
    if address.kind == "sentinel":
        questions |= {"username": options.sentinel_username, "password": options.sentinel_password}
    connection_class = Tls if address.tls else Tcp

    def client(node: Node, most: int, arguments: dict[str, Any], database: int) -> redis.asyncio.Redis:
        pool = Pool(
            max_connections=most, timeout=None, connection_class=connection_class,
            host=node[0], port=node[1], db=database, **arguments,
        )  # fmt: skip
        return _client(pool)

    read = read_cluster if address.kind == "cluster" else sentinel_reader(address.service)
    directory = Directory(address.nodes, lambda node: client(node, 1, questions, 0), read)
    sharded = address.kind == "cluster"
    return RoutedClient(directory, lambda node: client(node, connections, calls, address.database), sharded=sharded)


def _client(pool: Pool) -> redis.asyncio.Redis:
    client = redis.asyncio.Redis.from_pool(pool)
    # A dict of each entry costs more than all the rest of reading a stream: `by_stream` takes the reply as it came.
    del client.response_callbacks["XREAD"]
    return client


def _tls(options: RedisOptions) -> dict[str, Any]:
    return {
        "ssl_ca_certs": options.ca_file,
        "ssl_certfile": options.certificate_file,
        "ssl_keyfile": options.key_file,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }


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
