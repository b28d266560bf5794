"""Gateways in processes of their own, as `reelway run gateway` has them, on ports that stay theirs."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.gateway.keys import KEY

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 30.0


class GatewayProcess:
    """One place in an installation: `start` again after `kill` or `end` listens on the same port."""

    def __init__(self, folder: Path, redis_url: str, **settings: object) -> None:
        """`settings`: environment variables without REELWAY_."""
        self._reserved = socket.socket()
        # As the supervisor does it: bound and not listening, it keeps the port over restarts.
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self.log = folder / f"gateway-{self.port}.log"
        self._process: Process | None = None
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")} | {
            "REELWAY_REDIS_URL": redis_url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(folder),
            "REELWAY_GATEWAY_KEY": KEY,
            "REELWAY_GATEWAY_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            **{f"REELWAY_{name}": str(value) for name, value in settings.items()},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.gateway.gateway_process", stdout=PIPE, stderr=log, env=self._environment
            )
        async with asyncio.timeout(STARTS_WITHIN_S):
            while "ready_after_s" not in await self._said():
                pass

    def memory_bytes(self) -> int:
        """Resident, of the process alone."""
        return int(psutil.Process(self._running.pid).memory_info().rss)

    def cpu_s(self) -> float:
        times = psutil.Process(self._running.pid).cpu_times()
        return float(times.user + times.system)

    def send(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def end(self) -> int:
        """SIGTERM; its exit status, once it has ended."""
        self.send(signal.SIGTERM)
        return await self.wait()

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        return await self._running.wait()

    async def close(self) -> None:
        await self.kill()
        self._reserved.close()

    @property
    def _running(self) -> Process:
        assert self._process is not None
        return self._process

    async def _said(self) -> dict[str, Any]:
        assert self._running.stdout is not None
        line = await self._running.stdout.readline()
        assert line, f"the gateway has ended: {self.log.read_text(errors='replace')[-2000:]}"
        facts: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {}
        return facts


@asynccontextmanager
async def gateways(count: int, folder: Path, redis_url: str, **settings: object) -> AsyncIterator[list[GatewayProcess]]:
    """So many, ready; ended at the end."""
    made = [GatewayProcess(folder, redis_url, **settings) for _ in range(count)]
    try:
        await asyncio.gather(*(gateway.start() for gateway in made))
        yield made
    finally:
        for gateway in made:
            await gateway.close()
