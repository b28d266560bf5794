"""A headless Chromium and what its pages tell."""

import asyncio
import json
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from tests.watchers.target import Transport

PROGRAM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
STARTS_WITHIN_S = 30.0
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on this machine")

Seen = dict[str, Any]


class Browser:
    """`open_tab` shows a page; `seen` is what the page of each tab has told so far."""

    def __init__(self, debugging_port: int, ears: str, session: aiohttp.ClientSession) -> None:
        self.seen: defaultdict[str, list[Seen]] = defaultdict(list)
        self.ears = ears
        self._devtools = f"http://127.0.0.1:{debugging_port}"
        self._session = session
        self._told = asyncio.Condition()

    async def open_tab(self, tab: str, origin: str, job: str, by: Transport = "sse") -> None:
        """A tab with `watch.html` from `origin`, which follows the job."""
        url = f"{origin}/watch.html?tab={tab}&job={job}&by={by}&ears={quote(self.ears, safe='')}"
        async with self._session.put(f"{self._devtools}/json/new?{quote(url, safe='')}") as response:
            assert response.status == 200, await response.text()

    async def until(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        """Returns once `condition` is true of what was seen."""
        async with asyncio.timeout(within_s), self._told:
            await self._told.wait_for(condition)

    def events(self, tab: str) -> list[str]:
        """Names of what a tab was shown, without progress and signs of life."""
        return [one["event"] for one in self.seen[tab] if one["event"] not in ("job.progress", "heartbeat")]

    async def hear(self, request: web.Request) -> web.Response:
        one = json.loads(await request.read())
        async with self._told:
            self.seen[one.pop("tab")].append(one)
            self._told.notify_all()
        return web.Response()


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A browser with a profile of its own."""
    assert PROGRAM is not None
    profile = Path(tempfile.mkdtemp(prefix="rw-chromium-"))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank", stdout=DEVNULL, stderr=DEVNULL
    )
    application = web.Application()
    runner = web.AppRunner(application, access_log=None)
    try:
        async with aiohttp.ClientSession() as session:
            port = await _debugging_port(profile, process)
            browser = Browser(port, "", session)
            application.router.add_post("/seen", browser.hear)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            browser.ears = f"http://127.0.0.1:{runner.addresses[0][1]}/seen"
            yield browser
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await runner.cleanup()
        shutil.rmtree(profile, ignore_errors=True)


async def _debugging_port(profile: Path, process: Process) -> int:
    """It writes its port into its profile once it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not (file.exists() and (lines := file.read_text().splitlines())):
            assert process.returncode is None, "chromium has ended"
            await asyncio.sleep(0.02)
    return int(lines[0])
