"""Our connections and pool do what the library's do, in fewer steps."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio.connection import UnixDomainSocketConnection
from redis.exceptions import DataError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from actors.kernel import RedisOptions, connect, means_wait
from actors.kernel.transport import Unix


@pytest.mark.parametrize(
    "arguments",
    [
        ("GET", "a"),
        ("CONFIG GET", "maxmemory"),
        (b"XGROUP CREATE", "k", b"g", "$"),
        ("SET", "kä", b"\x00\xff\r\n", 1, -2.5, 1e300, ""),
        ("SET", bytearray(b"a"), memoryview(b"b")),
        ("SET", "k", bytes(70_000)),
    ],
)
def test_commands_are_written_as_the_library_writes_them(arguments: tuple[Any, ...]) -> None:
    ours, theirs = Unix(path="x"), UnixDomainSocketConnection(path="x")
    assert b"".join(ours.pack_command(*arguments)) == b"".join(theirs.pack_command(*arguments))


@pytest.mark.parametrize("wrong", [None, True, ["x"]])
def test_what_is_no_argument_is_refused_as_by_the_library(wrong: object) -> None:
    with pytest.raises(DataError):
        Unix(path="x").pack_command("SET", "k", wrong)


async def test_a_server_that_does_not_read_is_a_timeout_and_the_connection_is_given_up(tmp_path: Path) -> None:
    ending = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ending.wait()
        writer.close()

    server = await asyncio.start_unix_server(deaf, tmp_path / "deaf.sock", limit=1024)
    client = connect(RedisOptions(url=f"unix://{tmp_path}/deaf.sock", reply_timeout_s=0.2), connections=1)
    pool: Any = client.connection_pool
    connection = await pool.get_connection()
    with pytest.raises(RedisTimeoutError) as caught:
        await connection.send_command("SET", "k", bytes(10_000_000))
    assert means_wait(caught.value)
    assert not connection.is_connected
    await pool.release(connection)
    await client.aclose()
    ending.set()
    server.close()


async def test_a_call_that_is_cancelled_while_it_writes_leaves_no_half_of_it(tmp_path: Path, redis_url: str) -> None:
    client = connect(RedisOptions(url=redis_url), connections=1)
    writing = asyncio.ensure_future(client.execute_command("SET", "half", bytes(50_000_000)))  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.001)
    writing.cancel()
    await asyncio.wait([writing])
    assert await client.echo(b"x") == b"x"
    await client.delete("half")
    await client.aclose()


async def test_who_waits_for_a_connection_comes_before_who_asks_later(redis_url: str) -> None:
    client = connect(RedisOptions(url=redis_url), connections=1)
    pool: Any = client.connection_pool
    only = await pool.get_connection()
    served: list[str] = []

    async def use(name: str) -> None:
        connection = await pool.get_connection()
        served.append(name)
        await pool.release(connection)

    first = asyncio.create_task(use("first"))
    await asyncio.sleep(0.01)
    await pool.release(only)
    await asyncio.gather(first, use("second"))
    assert served == ["first", "second"]
    await client.aclose()


async def test_a_connection_that_the_server_closed_while_it_was_free_is_replaced(redis_url: str) -> None:
    client = connect(RedisOptions(url=redis_url), connections=2)
    await asyncio.gather(client.ping(), client.ping())
    await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.05)
    assert all(await asyncio.gather(client.ping(), client.ping()))
    await client.aclose()


async def test_a_call_that_is_cancelled_while_it_waits_takes_no_connection_along(redis_url: str) -> None:
    client = connect(RedisOptions(url=redis_url), connections=1)
    pool: Any = client.connection_pool
    only = await pool.get_connection()
    waiting = asyncio.ensure_future(client.execute_command("PING"))  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    await pool.release(only)
    assert await client.ping()
    await client.aclose()


async def test_errors_of_replies_are_the_librarys(redis_url: str) -> None:
    client = connect(RedisOptions(url=redis_url))
    with pytest.raises(RedisError, match="unknown command"):
        await client.execute_command("NOTACOMMAND")  # type: ignore[no-untyped-call]
    assert await client.ping()
    await client.aclose()
