"""Role processes of one installation with short leases, and the client's side of it."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from actors.kernel import JobView, KernelOptions, Partitions, Submission, Submitter, read_job
from actors.media.task import JobSpec, encode
from actors.settings import load

PROGRAM = """
import sys
from actors import run
from actors.logging import configure
from actors.settings import load
settings = load()
roles = sys.argv[1:]
configure(settings.logging, "+".join(roles))
run.run(run.serve(run.build_services(roles, settings), settings, lambda: print("ready", flush=True)))
"""
ROLES = ("ingest", "fetch", "store", "notify", "reaper")


class Roles:
    """Role processes of one installation, all with short leases."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")},
            "REELWAY_REDIS_URL": redis_url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(folder),
            "REELWAY_KERNEL_LEASE_S": "1",
            "REELWAY_KERNEL_BEAT_S": "0.25",
            "REELWAY_REAPER_INTERVAL_S": "0.1",
            "REELWAY_FETCH_DRAIN_GRACE_S": "20",
            "REELWAY_EGRESS_ALLOW": "127.0.0.0/8",
            "REELWAY_NOTIFY_LOG": str(folder / "notify.log"),
        }
        self.settings = load(self.environ)
        self.log = folder / "roles.log"
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self, *roles: str, **environ: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, *roles,
                env={**self.environ, **environ}, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.running.append(process)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 15.0)
        assert line == b"ready\n", self.log.read_text()
        return process

    async def stop(self) -> None:
        for process in self.running:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Cluster:
    """The client's side."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client
        self.partitions = Partitions(1)
        self.submitter = Submitter(client, self.partitions, KernelOptions())

    async def submit(self, source: str, target: str = "mp3") -> str:
        spec = encode(JobSpec(source=source, format=target))
        return (await self.submitter.submit(Submission(tenant="default", stage="ingest", spec=spec, input=b"{}"))).job

    async def until(self, job: str, condition: Callable[[JobView], bool], within_s: float = 20.0) -> JobView:
        view: JobView | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    view = await read_job(self.client, self.partitions, job)
                    if view is not None and condition(view):
                        return view
                    await asyncio.sleep(0.02)
        pytest.fail(f"not within {within_s} s: {view}")
