"""Real servers on loopback ports: single ones, a Redis Cluster, a primary with replicas and Sentinels.

Everything is put together by commands, as an operator's tools do; each process has a directory of its own and is ended
by its id.
"""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import redis
from redis.crc import key_slot

from tests.conftest import redis_program

BUS_OFFSET = 10_000
"""A cluster node listens for the other nodes this far above its port."""
SLOTS = 16_384
_ports = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on, nor on the one of the cluster bus above it."""
    while True:
        port = _ports.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + BUS_OFFSET))
            return port


def until(condition: Callable[[], Any], within_s: float = 15.0, why: str = "condition not met") -> None:
    """Returns when the servers' state satisfies the condition; while they do not answer, it does not."""
    gives_up_at = monotonic() + within_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        assert monotonic() < gives_up_at, why
        sleep(0.01)


class Server:
    """One process on one port."""

    def __init__(
        self, *arguments: str, tls: Sequence[str] = (), sentinel: bool = False, program: str | None = None
    ) -> None:
        """`tls`: the arguments that name the certificates; then nothing else is spoken."""
        self._program = program or redis_program()
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="rw-"))
        self.process: subprocess.Popen[bytes] | None = None
        self._tls = tls
        self._sentinel = sentinel
        self._arguments = arguments

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        port = ["--port", "0", "--tls-port", str(self.port), *self._tls] if self._tls else ["--port", str(self.port)]
        command = [self._program, *port, "--bind", "127.0.0.1", "--dir", str(self.directory)]
        if self._sentinel:
            configuration = self.directory / "sentinel.conf"
            configuration.touch()
            command[1:1] = [str(configuration), "--sentinel"]
        else:
            command += ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self._arguments], stdout=log, stderr=log)
        until(self._answers, why=f"{command} did not start: {(self.directory / 'log').read_text()[-2000:]}")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def client(self, username: str | None = None, password: str | None = None) -> redis.Redis:
        authority = self._authority() if self._tls else None
        return redis.Redis(
            host="127.0.0.1", port=self.port, socket_timeout=5, username=username, password=password,
            ssl=bool(self._tls), ssl_ca_certs=authority,
        )  # fmt: skip

    def _authority(self) -> str:
        return self._tls[self._tls.index("--tls-ca-cert-file") + 1]

    def call(self, *words: str | int) -> Any:
        """One command over a connection of its own."""
        with self.client() as client:
            return client.execute_command(*words)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


class Cluster:
    """A Redis Cluster: `primaries` nodes with slots in equal parts, each with a replica where `replicas` is set."""

    def __init__(
        self,
        primaries: int = 3,
        *,
        replicas: bool = False,
        node_timeout_ms: int = 1000,
        tls: Sequence[str] = (),
        program: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        arguments = [
            *arguments,
            "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
            "--cluster-node-timeout", str(node_timeout_ms), "--cluster-replica-validity-factor", "0",
        ]  # fmt: skip
        self._scheme = "rediss" if tls else "redis"
        self.primaries = [Server(*arguments, tls=tls, program=program) for _ in range(primaries)]
        self.replicas = [Server(*arguments, tls=tls, program=program) for _ in range(primaries if replicas else 0)]

    @property
    def nodes(self) -> list[Server]:
        return self.primaries + self.replicas

    @property
    def url(self) -> str:
        return f"{self._scheme}+cluster://{','.join(node.address for node in self.nodes)}"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        share = -(-SLOTS // len(self.primaries))
        for number, node in enumerate(self.primaries):
            _add_slots(node, number * share, min((number + 1) * share, SLOTS) - 1)
            node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", self.primaries[0].port)
        until(lambda: all(self._known(node) == len(self.nodes) for node in self.nodes), why="the nodes did not meet")
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            identity = primary.call("CLUSTER", "MYID").decode()
            until(partial(replica.call, "CLUSTER", "REPLICATE", identity))
        until(lambda: all(b"cluster_state:ok" in node.call("CLUSTER", "INFO") for node in self.nodes), why="no quorum")
        self.await_replicas()

    def await_replicas(self) -> None:
        """Returns when every replica has a whole copy and is known as one everywhere."""
        for replica in self.replicas:
            until(partial(_has_copy, replica))
        until(lambda: all(self._replicas_seen_by(node) == len(self.replicas) for node in self.primaries))

    def flush(self) -> None:
        for node in self.primaries:
            node.call("FLUSHALL")

    def serving(self, key: str) -> Server:
        """The node that serves a key, as those who live say."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            with contextlib.suppress(redis.RedisError):
                for first, last, primary, *_ in node.call("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError(f"nobody serves {key}")

    def replica_of(self, primary: Server) -> Server:
        return self.replicas[self.primaries.index(primary)]

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _known(self, node: Server) -> int:
        return sum(b"handshake" not in line for line in node.call("CLUSTER", "NODES").splitlines())

    def _replicas_seen_by(self, node: Server) -> int:
        return sum(b"slave" in line for line in node.call("CLUSTER", "NODES").splitlines())


class Watched:
    """A primary with replicas and three Sentinels, which know it as `main`."""

    service = "main"

    def __init__(
        self, replicas: int = 2, *, down_after_ms: int = 500, tls: Sequence[str] = (), program: str | None = None
    ) -> None:
        self._scheme = "rediss" if tls else "redis"
        self.primary = Server(tls=tls, program=program)
        following = ["--replicaof", "127.0.0.1", str(self.primary.port)]
        self.replicas = [Server(*following, tls=tls, program=program) for _ in range(replicas)]
        self.sentinels = [Server(tls=tls, sentinel=True, program=program) for _ in range(3)]
        self._down_after_ms = down_after_ms

    @property
    def url(self) -> str:
        return f"{self._scheme}+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/{self.service}"

    def start(self) -> None:
        for server in [self.primary, *self.replicas]:
            server.start()
        for replica in self.replicas:
            until(partial(_has_copy, replica), why="a replica has no copy")
        for sentinel in self.sentinels:
            sentinel.start()
            sentinel.call("SENTINEL", "MONITOR", self.service, "127.0.0.1", self.primary.port, 2)
            for name, value in [("down-after-milliseconds", self._down_after_ms), ("failover-timeout", 3000)]:
                sentinel.call("SENTINEL", "SET", self.service, name, value)
        for sentinel in self.sentinels:
            until(partial(self._sees_everybody, sentinel), 30, "the Sentinels did not meet")

    def named(self) -> Server:
        """The primary, as the first Sentinel that answers names it."""
        _, port = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
        return next(server for server in [self.primary, *self.replicas] if server.port == int(port))

    def stop(self) -> None:
        for server in [*self.sentinels, *self.replicas, self.primary]:
            server.stop()

    def _sees_everybody(self, sentinel: Server) -> bool:
        facts = sentinel.call("SENTINEL", "MASTER", self.service)
        known = dict(zip(facts[::2], facts[1::2], strict=True)) if isinstance(facts, list) else facts
        told = {(name.decode() if isinstance(name, bytes) else name): value for name, value in known.items()}
        return int(told["num-slaves"]) == len(self.replicas) and int(told["num-other-sentinels"]) == 2


def role(server: Server) -> list[Any]:
    """The reply of ROLE with text for bytes."""
    return [part.decode() if isinstance(part, bytes) else part for part in server.call("ROLE")]


def _has_copy(replica: Server) -> bool:
    told = role(replica)
    return told[0] == "slave" and bool(told[3] == "connected")


def cut_off(primary: Server) -> None:
    """Breaks the replication of a primary for good: what it accepts from now on nobody else has."""
    primary.call("ACL", "SETUSER", "default", "-psync", "-sync")
    primary.call("CLIENT", "KILL", "TYPE", "replica")


def _add_slots(node: Server, first: int, last: int) -> None:
    try:
        node.call("CLUSTER", "ADDSLOTSRANGE", first, last)
    except redis.ResponseError:
        # Before Redis 7.0 every slot is named.
        node.call("CLUSTER", "ADDSLOTS", *range(first, last + 1))


@contextlib.contextmanager
def running(servers: Any) -> Iterator[Any]:
    """Started, and stopped at the end, also when the start fails."""
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
