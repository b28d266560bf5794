"""Eight tabs of one browser. It opens six connections to one origin of HTTP/1.1; each stream of events takes one."""

from pathlib import Path

import pytest

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.browser.chromium import Browser, chromium, needs_chromium
from tests.watchers.browser.front import front
from tests.watchers.gateways import gateways
from tests.watchers.nginx import needs_nginx, nginx, self_signed
from tests.watchers.target import Transport

pytestmark = [needs_chromium, pytest.mark.heavy]
TABS = [f"tab{number}" for number in range(8)]
CONNECTIONS = 6


def _served(browser: Browser) -> list[str]:
    return [tab for tab in TABS if "snapshot" in browser.events(tab)]


async def _open_all(browser: Browser, origin: str, jobs: list[str], by: Transport) -> None:
    for tab, job in zip(TABS, jobs, strict=True):
        await browser.open_tab(tab, origin, job, by)


async def test_eight_tabs_by_websocket(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    jobs = [await worker.submit() for _ in TABS]
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        front(lambda: gateway.port, KEY) as page,
        chromium() as browser,
    ):
        await _open_all(browser, page.origin, jobs, "ws")
        await browser.until(lambda: _served(browser) == TABS)
        for job in jobs:
            await worker.submitter.cancel(job, "test")
        await browser.until(lambda: all("end" in browser.events(tab) for tab in TABS))


@needs_nginx
async def test_eight_tabs_by_streams_over_http_2(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    """What a proxy gives that speaks HTTP/2 to browsers: one connection for all."""
    certificate, key = self_signed(tmp_path)
    server = f"ssl_certificate {certificate}; ssl_certificate_key {key};"
    root = str(Path(__file__).parent)
    jobs = [await worker.submit() for _ in TABS]
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        nginx(tmp_path, [gateway.port], server=server, listen="ssl http2", root=root) as port,
        chromium("--ignore-certificate-errors", "--allow-running-insecure-content") as browser,
    ):
        await _open_all(browser, f"https://127.0.0.1:{port}", jobs, "sse")
        await browser.until(lambda: _served(browser) == TABS)
        for job in jobs:
            await worker.submitter.cancel(job, "test")
        await browser.until(lambda: all("end" in browser.events(tab) for tab in TABS))


async def test_two_of_eight_tabs_wait_for_a_place_over_http_1(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    """The limit is the browser's; what it holds back is served once another stream has ended."""
    jobs = [await worker.submit() for _ in TABS]
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        front(lambda: gateway.port, KEY) as page,
        chromium() as browser,
    ):
        for tab, job in zip(TABS, jobs, strict=True):
            await browser.open_tab(tab, page.origin, job)
        await browser.until(lambda: len(_served(browser)) == CONNECTIONS)
        assert len(page.cursors) == CONNECTIONS, "the others have not even asked"
        first = jobs[TABS.index(_served(browser)[0])]
        await worker.submitter.cancel(first, "test")
        await browser.until(lambda: len(_served(browser)) == CONNECTIONS + 1)
