"""The same calls as bytes that were prepared: what Redis can do when the other side does nothing but write them.

A program of single calls is run once, on a server that is not measured, and what it sends is kept. Everything that
decides its course is in those bytes (job ids, nonces and so fences, batches), so an empty server that is sent the same
bytes in the same order answers the same. That makes them repeatable although each commit names the fence of a take.
"""

import socket
from collections.abc import Iterable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis
import redis
import redis.asyncio
import uvloop

from actors.kernel import End, RedisOptions, connect
from actors.kernel.scripts import script, verbs
from bench.limit.bare import Cost, Plan, Program, Stopwatch, check_ended

REQUESTS_IN_FLIGHT = 16
RECEIVE_BYTES = 1 << 18
BAD_ENDS = frozenset(end.encode() for end in End if end is not End.OK)


class Recorder:
    """In the place of a client of Redis: sends what it is asked to and keeps the bytes of it."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self.requests: list[bytes] = []

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        self.requests.append(pack(words))
        return await self._client.execute_command(*words, **options)  # type: ignore[no-untyped-call]

    async def evalsha(self, digest: str, count: int, *words: Any) -> Any:
        return await self.execute_command("EVALSHA", digest, count, *words)

    async def set(self, key: str, value: Any) -> Any:
        return await self.execute_command("SET", key, value)

    async def script_load(self, text: str) -> Any:
        return await self._client.script_load(text)


def pack(words: Iterable[Any]) -> bytes:
    """One command as Redis reads it."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
    return b"".join(parts)


async def _record(plan: Plan) -> tuple[list[bytes], list[bytes]]:
    client = connect(RedisOptions(url=plan.url), connections=1)
    before, during = Recorder(client), Recorder(client)
    program = Program(plan, cast(redis.asyncio.Redis, before))
    await program.load()
    await program.submit(1)
    # One program works off what the other one handed in: they know of each other through Redis alone.
    await Program(plan, cast(redis.asyncio.Redis, during)).work()
    await client.aclose()
    with redis.Redis.from_url(plan.url) as server:
        check_ended(server)
    return before.requests, during.requests


def play(address: tuple[str, int], requests: Sequence[bytes]) -> None:
    """Sends all requests on one connection, some of them ahead of the replies. Raises RuntimeError for a bad reply."""
    reader = hiredis.Reader()
    sent = answered = 0
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while answered < len(requests):
            ahead = requests[sent : answered + REQUESTS_IN_FLIGHT]
            if ahead:
                connection.sendall(b"".join(ahead))
                sent += len(ahead)
            reader.feed(connection.recv(RECEIVE_BYTES))
            while (reply := reader.gets()) is not False:
                answered += 1
                if is_bad(reply):
                    raise RuntimeError(f"request {answered} was answered {reply!r}")


def is_bad(reply: Any) -> bool:
    """Whether a reply is an error, or an end that was not accepted."""
    if isinstance(reply, list):
        return any(is_bad(each) for each in reply if isinstance(each, Exception)) or not BAD_ENDS.isdisjoint(
            each for each in reply if isinstance(each, bytes)
        )
    return isinstance(reply, Exception)


def replay(plan: Plan, empty: str) -> Cost:
    """Records on the plan's server and measures on the `empty` one (both TCP). Needs a process of its own."""
    before, during = uvloop.run(_record(plan))
    parts = urlsplit(empty)
    address = (str(parts.hostname), int(parts.port or 0))
    with redis.Redis.from_url(empty) as server:
        for verb in verbs():
            server.script_load(script(verb).text)
        play(address, before)
        watch = Stopwatch(server)
        play(address, during)
        cost = watch.read()
        check_ended(server)
    return cost
