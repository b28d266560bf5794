"""Connections of redis-py and their pool, as we use them: the library's own, without its detours.

A call costs the library about as much as a small script costs Redis. What is left out here changes no promise of it:
a task and a timer for each write that does not wait, a condition variable for each connection that is free, and
writing the protocol in Python where hiredis does it in C. Whatever is out of the ordinary goes the library's way.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import hiredis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Ours(AbstractConnection):
    """What our three kinds of connections share."""

    _writer: Any
    """The stream; None where it is not connected."""

    def pack_command(self, *arguments: Any) -> list[bytes]:
        name, *others = arguments
        words = (name if isinstance(name, bytes) else name.encode()).split()
        try:
            return [hiredis.pack_command((*words, *others))]
        except TypeError:
            # A kind of argument that only the library knows, or refuses with its own error.
            return super().pack_command(*arguments)

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Raises redis-py's own errors.

        A connection whose transport uvloop closed between the last reply and this command is a lost one like any other:
        uvloop says RuntimeError, and redis-py passes that on, so our callers would take it for an error of theirs.
        """
        try:
            if self._writer is None or self.health_check_interval or isinstance(command, (bytes, str)):
                await super().send_packed_command(command, check_health)
            else:
                await self._write(b"".join(command))
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            raise RedisConnectionError(str(error)) from error

    async def _write(self, command: bytes) -> None:
        writer = self._writer
        try:
            async with asyncio.timeout(self.socket_timeout):
                writer.write(command)
                await writer.drain()
        except TimeoutError as error:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout writing to socket") from error
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException:
            # The server may have got a part of it.
            await self.disconnect(nowait=True)
            raise


class Tcp(_Ours, Connection):
    pass


class Tls(_Ours, SSLConnection):
    pass


class Unix(_Ours, UnixDomainSocketConnection):
    pass


OURS: dict[type, type] = {Connection: Tcp, SSLConnection: Tls, UnixDomainSocketConnection: Unix}
"""The library's kinds and what we use in their place."""


class Pool(redis.asyncio.BlockingConnectionPool):
    """Where nobody waits and a connection is free, it is given away without a lock."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._queued = 0
        """Calls that take the library's way, as there was no free connection. They come before those after them."""

    async def get_connection(self, *_: Any, **__: Any) -> AbstractConnection:
        if self._queued or not self._available_connections:
            self._queued += 1
            try:
                return cast("AbstractConnection", await super().get_connection())  # type: ignore[no-untyped-call]
            finally:
                self._queued -= 1
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection
