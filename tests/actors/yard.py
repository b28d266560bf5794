"""Processes that tests of time stop, resume and kill: sleeping workers and reapers before one Redis."""

import asyncio
import os
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from actors.kernel import JobView, KernelOptions
from tests.actors.roles import PROGRAM
from tests.conftest import RedisServer
from tests.kernel.stages import Installation, eventually, server_ms

START_S = 20.0
QUEUED_AND_STARTED = 2
"""Durable events of a job that has been taken once and not ended."""
WATCHING = re.compile(r"^reelway_reaper_watching (\S+)$", re.MULTILINE)
Process = asyncio.subprocess.Process


class Yard:
    """One server, its workers and its reapers, all processes of their own, and the client that looks at them."""

    def __init__(self, server: RedisServer, folder: Path, lease_s: float, beat_s: float, stall_s: float = 60.0) -> None:
        self.server = server
        self.folder = folder
        self.lease_s = lease_s
        self._beat_s = beat_s
        self._stall_s = stall_s
        self.installation = Installation(server.url, KernelOptions(lease_s=lease_s, beat_s=beat_s))
        self.workers: list[Process] = []
        self.reapers: list[Process] = []
        self._ports: list[int] = []

    async def start_worker(self, url: str | None = None, slots: int = 4) -> Process:
        times = [str(self.lease_s), str(self._beat_s), str(slots), str(self._stall_s)]
        arguments = ["-m", "tests.actors.sleeper", url or self.server.url, str(self.folder), *times]
        process = await self._start(arguments, {})
        self.workers.append(process)
        return process

    async def start_reaper(self) -> Process:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._ports.append(probe.getsockname()[1])
        environ = {
            "REELWAY_REDIS_URL": self.server.url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(self.folder / "data"),
            "REELWAY_KERNEL_LEASE_S": str(self.lease_s),
            "REELWAY_KERNEL_BEAT_S": str(self._beat_s),
            "REELWAY_METRICS_PORT": str(self._ports[-1]),
        }
        process = await self._start(["-c", PROGRAM, "reaper"], environ)
        self.reapers.append(process)
        return process

    async def _start(self, arguments: list[str], environ: dict[str, str]) -> Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
        with (self.folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments,
                env=kept | environ, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
        assert line == b"ready\n", (self.folder / "log").read_text()
        return process

    async def stop(self) -> None:
        for process in [*self.workers, *self.reapers]:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()
        await self.installation.client.aclose()

    async def submit(self, count: int) -> list[str]:
        """Jobs, all of which have been started."""
        jobs = [await self.installation.submit() for _ in range(count)]
        await self.until_started(jobs)
        return jobs

    async def until_started(self, jobs: list[str]) -> None:
        async def started() -> bool:
            return set(jobs) <= {line[0] for line in self.starts()}

        await eventually(started, START_S, lambda: f"not all of {jobs} are started: {self.starts()}")

    def starts(self) -> list[tuple[str, str, str]]:
        """Every start of a stage: job, fence and process id."""
        path = self.folder / "starts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(job, fence, pid) for job, fence, pid in (line.split() for line in lines)]

    async def views(self, jobs: list[str]) -> list[JobView]:
        return [await self.installation.read(job) for job in jobs]

    async def until_reapers(self, may_reap: Callable[[list[bool]], bool], within_s: float) -> None:
        """Returns when what the reapers say of themselves satisfies the condition."""

        async def said() -> bool:
            return may_reap([await asyncio.to_thread(_is_watching, port) for port in self._ports])

        await eventually(said, within_s, lambda: "the reapers do not say so")

    async def until_reapers_had_their_chance(self) -> None:
        """Every reaper may end leases again, and has had half a lease to do it."""
        await self.until_reapers(all, self.lease_s * 2 + 5.0)
        client = self.installation.client
        since_ms = await server_ms(client)

        async def passed() -> bool:
            return await server_ms(client) - since_ms >= self.lease_s * 500

        await eventually(passed, self.lease_s + 5.0)

    def suspend(self, *processes: Process) -> None:
        for process in processes:
            process.send_signal(signal.SIGSTOP)

    def resume(self, *processes: Process) -> None:
        for process in processes:
            process.send_signal(signal.SIGCONT)

    def suspend_redis(self) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGSTOP)

    def resume_redis(self) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGCONT)

    async def assert_untouched(self, jobs: list[str]) -> None:
        """No lease was ended, not even one that its worker got back; nothing was charged; everything still runs."""
        told = [(view.state, view.rev, view.takes, view.crashes, view.attempt) for view in await self.views(jobs)]
        assert told == [("running", QUEUED_AND_STARTED, 1, 0, 0)] * len(jobs), (self.folder / "log").read_text()
        assert sorted(job for job, _, _ in self.starts()) == sorted(jobs)

    async def assert_a_dead_worker_is_still_noticed(self, jobs: list[str]) -> None:
        """Kills the first worker; another one starts its jobs again within a lease and the passes after it."""
        victim = self.workers[0]
        lost = {job for job, _, pid in self.starts() if int(pid) == victim.pid}
        assert lost, "the worker that is killed has jobs"
        victim.kill()
        await victim.wait()

        async def again() -> bool:
            return all(sum(job == started for started, _, _ in self.starts()) == 2 for job in lost)

        await eventually(again, self.lease_s + 2.0 + 3.0, lambda: f"{lost} not started again: {self.starts()}")
        for view in await self.views(jobs):
            assert (view.takes, view.crashes) == ((2, 1) if view.job in lost else (1, 0))

    async def finish(self, jobs: list[str]) -> None:
        (self.folder / "finish").touch()
        for job in jobs:
            await self.installation.until(job, "completed")  # type: ignore[arg-type]


def _is_watching(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as response:
        found = WATCHING.search(response.read().decode())
    return found is not None and float(found[1]) == 1.0
