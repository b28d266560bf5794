"""Redis that dies, stands still, is full, forgets its scripts or breaks its connections."""

import asyncio
import contextlib
from typing import Any

from tests.faults.house.house import House
from tests.faults.house.servers import ServerNode
from tests.faults.house.times import LEASE_S
from tests.faults.injection.claims import alone_with, claim, unclaimed
from tests.faults.injection.fault import EXPECTED, Blow, Fault, surely, until_it_works

ANSWERS_S = 10.0
"""A server that says nothing for so long is down."""
UNDONE_S = 60.0
"""By then what keeps a server down has ended."""


def living(house: House) -> list[ServerNode]:
    return [server for server in house.servers if server.alive]


async def ask(server: ServerNode, *words: str | float) -> Any:
    """One command, on a connection that goes through no proxy."""
    async with asyncio.timeout(ANSWERS_S):
        return await server.client.execute_command(*words)  # type: ignore[no-untyped-call]


class RestartRedis(Fault):
    """SIGKILL, and after a while it reads its append-only file."""

    name = "restart_redis"
    weight = 2.0
    bounds_s = (0.1, 2 * LEASE_S)
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(blow.house.servers)
        async with alone_with(server):
            blow.begins(server.name)
            try:
                # As a whole: a server that is half dead cannot be started.
                await surely(server.kill())
                await asyncio.sleep(blow.lasts_s)
            finally:
                await surely(server.restart())


class FailPower(Fault):
    """The host of Redis fails: what was not on its disk is undone."""

    name = "fail_power"
    weight = 2.0
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(blow.house.servers)
        async with alone_with(server):
            blow.begins(server.name)
            # It ends in a server that answers, so it is not interrupted.
            await surely(server.fail_power())


class FreezeRedis(Fault):
    """SIGSTOP: connections stay open, nothing is answered, and then all is carried out at once."""

    name = "freeze_redis"
    weight = 1.5
    bounds_s = (0.2 * LEASE_S, 3 * LEASE_S)
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(blow.house.servers)
        async with alone_with(server):
            blow.begins(server.name)
            try:
                server.freeze()
                await asyncio.sleep(blow.lasts_s)
            finally:
                server.thaw()


class PauseClients(Fault):
    """CLIENT PAUSE: as after a failover by hand; what was asked meanwhile is answered late."""

    name = "pause_clients"
    weight = 1.2
    bounds_s = (0.1 * LEASE_S, 2 * LEASE_S)
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(living(blow.house))
        async with alone_with(server):
            blow.begins(server.name)
            try:
                await ask(server, "CLIENT", "PAUSE", round(blow.lasts_s * 1000), "ALL")
            finally:
                # A paused server delays CLIENT UNPAUSE as well, so the end of the pause is waited for.
                with contextlib.suppress(*EXPECTED):
                    await surely(ask(server, "PING"))


class KillClients(Fault):
    """Every connection breaks at once, those of the clients of this run as well."""

    name = "kill_clients"
    weight = 2.0

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(living(blow.house))
        blow.begins(server.name)
        await ask(server, "CLIENT", "KILL", "TYPE", "normal")


class FlushScripts(Fault):
    """Redis knows no script any more."""

    name = "flush_scripts"
    weight = 1.5

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(living(blow.house))
        blow.begins(server.name)
        await ask(server, "SCRIPT", "FLUSH")


class FullMemory(Fault):
    """Redis is full: new work is refused, and what was begun ends."""

    name = "full_memory"
    weight = 1.5
    bounds_s = (0.5, 3.0)

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(unclaimed(living(blow.house), self.name))
        with claim(server, self.name):
            blow.begins(server.name)
            try:
                await ask(server, "CONFIG", "SET", "maxmemory", 1)
                await asyncio.sleep(blow.lasts_s)
            finally:
                # Another fault may keep it from answering.
                await surely(until_it_works(lambda: _give_room(server), UNDONE_S))


async def _give_room(server: ServerNode) -> None:
    """One that comes back from the dead has forgotten its bound by itself."""
    if server.alive:
        await ask(server, "CONFIG", "SET", "maxmemory", 0)


class RewriteAof(Fault):
    """The append-only file is written anew, as Redis does by itself when it has grown."""

    name = "rewrite_aof"
    weight = 0.8
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(living(blow.house))
        async with alone_with(server):
            blow.begins(server.name)
            async with asyncio.timeout(ANSWERS_S):
                await server.rewrite()
