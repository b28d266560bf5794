"""Roles of an installation as processes of a benchmark, started as an operator starts them: `reelway run ROLE`."""

import sys
import time
from pathlib import Path

from bench.chains.fleet import ROOT, environment
from bench.reaper import free_port
from bench.systems.process import Broken, Late, Running

READY_S = 60.0
READY = b'{"ready":'
"""What `reelway run --json` writes when the role works."""
KEY = "rw_a-key-of-the-bench"
COMMAND = "import sys; from gateway.command.main import main; sys.exit(main())"


class Installation:
    """Where the processes of one installation of one partition find Redis and their files."""

    def __init__(self, redis: str, folder: Path) -> None:
        """`folder` takes data and logs, and belongs to the caller."""
        self._port = free_port()
        self._folder = folder
        self._environment = environment(
            REELWAY_REDIS_URL=redis,
            REELWAY_PARTITIONS="1",
            REELWAY_DATA_DIR=str(folder / "data"),
            REELWAY_GATEWAY_HOST="127.0.0.1",
            REELWAY_GATEWAY_PORT=str(self._port),
            REELWAY_GATEWAY_KEY=KEY,
            REELWAY_GATEWAY_RATE_REQUESTS="0",
        )

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://127.0.0.1:{self._port}"

    def run(self, role: str) -> Running:
        """`reelway run` with one role. It ends with its `with` block; see `until_ready`."""
        return self.start(role, [sys.executable, "-c", COMMAND, "run", role, "--json"])

    def start(self, name: str, words: list[str]) -> Running:
        """Another program in the same surroundings."""
        return Running(words, ROOT, self._environment, self._folder / f"{name}.log")


def until_ready(role: Running) -> None:
    """Waits until a role has said that it works. Raises Late or Broken."""
    gives_up_at = time.monotonic() + READY_S
    while not (role.log.exists() and READY in role.log.read_bytes()):
        if not role.is_running():
            raise Broken(f"{role.log.stem} has ended\n{role.tail()}")
        if time.monotonic() > gives_up_at:
            raise Late(f"{role.log.stem} is not ready after {READY_S:g} s\n{role.tail()}")
        time.sleep(0.02)
