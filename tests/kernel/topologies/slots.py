"""Moving a slot of a Redis Cluster from one node to another."""

import pytest
import redis

from actors.kernel.routed import slot_of_key
from tests.kernel.topologies.servers import Cluster, Server


class Move:
    """One slot on its way from one node to another."""

    def __init__(self, cluster: Cluster, key: str) -> None:
        self.slot = slot_of_key(key)
        self.source = cluster.serving(key)
        self.target = next(node for node in cluster.primaries if node is not self.source)
        self.nodes = cluster.primaries

    def begin(self) -> None:
        self.target.call("CLUSTER", "SETSLOT", self.slot, "IMPORTING", identity_of(self.source))
        self.source.call("CLUSTER", "SETSLOT", self.slot, "MIGRATING", identity_of(self.target))

    def carry(self, *keys: str) -> None:
        self.source.call("MIGRATE", "127.0.0.1", self.target.port, "", 0, 1000, "KEYS", *keys)

    def carry_all(self) -> None:
        while keys := self.source.call("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            self.carry(*(key.decode() for key in keys))

    def end(self) -> None:
        self._assign(self.target)

    def at_once(self) -> None:
        """The slot as a whole, by the server itself, while everybody works. Skips the test where it cannot."""
        try:
            node = identity_of(self.target)
            self.source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", self.slot, self.slot, "NODE", node)
        except redis.ResponseError as error:
            pytest.skip(f"this server cannot move a slot as a whole: {error}")

    def undo(self) -> None:
        """The keys are dropped."""
        self.target.call("FLUSHALL")
        self._assign(self.source)

    def _assign(self, owner: Server) -> None:
        for node in [owner, *self.nodes]:
            node.call("CLUSTER", "SETSLOT", self.slot, "NODE", identity_of(owner))


def identity_of(node: Server) -> str:
    """The name of a node within its cluster."""
    identity: bytes = node.call("CLUSTER", "MYID")
    return identity.decode()
