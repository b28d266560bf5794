"""A reaper beside the worker, as an installation runs it: a process of its own, in the group of the worker."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import reaper
from bench.systems.process import Settings

PATIENCE_S = 60.0
POLL_S = 0.05


class Reaper:
    """Runs as long as the context."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Self:
        # There it goes with the reports where this process is killed.
        self._folder = tempfile.TemporaryDirectory(prefix="reaper-", dir=Path(self._settings.report).parent)
        self._log = Path(self._folder.name) / "log"
        self._port = reaper.free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
        ours = reaper.environ(self._settings.redis, self._folder.name, self._port)
        ours |= {"REELWAY_PARTITIONS": str(self._settings.partitions)}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", reaper.PROGRAM, env=kept | ours, stdout=log, stderr=log
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._folder.cleanup()

    async def watching(self) -> None:
        """Returns once it would reap: it has heard of the server for a whole lease, as a running one has."""
        gives_up_at_s = time.monotonic() + PATIENCE_S
        while not await asyncio.to_thread(self._may_reap):
            if self._process.returncode is not None or time.monotonic() > gives_up_at_s:
                raise RuntimeError(self._log.read_text("utf-8"))
            await asyncio.sleep(POLL_S)

    def _may_reap(self) -> bool:
        # It may not listen yet.
        with contextlib.suppress(OSError):
            return reaper.may_reap(self._port)
        return False
