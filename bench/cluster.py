"""A Redis Cluster for one benchmark: three primaries without replicas, each a server of its own on a loopback port."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

import redis
from redis.crc import key_slot

from bench.server import Durability, Server, running

PRIMARIES = 3
SLOTS = 16_384
MEET_S = 15.0
SETTINGS = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")


class Cluster:
    """Servers that know each other and share the slots in equal parts."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in servers)}"

    def processor_s(self) -> float:
        """Processor time of all servers together."""
        return sum(server.processor_s() for server in self.servers)

    def serving(self, key: str) -> Server:
        """The server that has the slot of a key."""
        return self.servers[key_slot(key.encode()) // _share(len(self.servers))]

    def flush(self) -> None:
        for server in self.servers:
            server.client.flushall()


@contextlib.contextmanager
def running_cluster(program: str | None, durability: Durability, primaries: int = PRIMARIES) -> Iterator[Cluster]:
    """A fresh cluster as it is shipped, once every server serves."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(program, durability, arguments=SETTINGS)) for _ in range(primaries)]
        _join(servers)
        yield Cluster(servers)


def _share(servers: int) -> int:
    return -(-SLOTS // servers)


def _join(servers: list[Server]) -> None:
    share = _share(len(servers))
    for number, server in enumerate(servers):
        # Slot by slot: ADDSLOTSRANGE came with Redis 7.0.
        server.client.execute_command(  # type: ignore[no-untyped-call]
            "CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, SLOTS))
        )
        server.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)  # type: ignore[no-untyped-call]
    for server in servers[1:]:
        server.client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)  # type: ignore[no-untyped-call]
    for server in servers:
        _until(partial(_serves, server, len(servers)))


def _serves(server: Server, nodes: int) -> bool:
    said = server.client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    facts = {str(name): value for name, value in said.items()} if isinstance(said, dict) else _facts(said)
    return facts["cluster_state"] == "ok" and int(facts["cluster_known_nodes"]) == nodes


def _facts(said: bytes | str) -> dict[str, str]:
    words = said.decode() if isinstance(said, bytes) else said
    return dict(line.split(":", 1) for line in words.splitlines() if ":" in line)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MEET_S
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise RuntimeError("the servers of the cluster did not meet")
        time.sleep(0.02)
