"""The EventSource of a real browser: it follows, comes back by itself over every restart, and stops at the end."""

from pathlib import Path

import pytest

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.browser.chromium import Browser, chromium, needs_chromium
from tests.watchers.browser.front import front
from tests.watchers.gateways import gateways

pytestmark = needs_chromium
WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]


def shown(browser: Browser, tab: str) -> list[str]:
    return [name for name in browser.events(tab) if name not in ("open", "error", "reconnect")]


async def test_a_browser_follows_over_a_restart_and_a_crash(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    """The gateway is stopped, then killed; at the end it answers 204, at which the browser stops for good."""
    job = await worker.submit()
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        front(lambda: gateway.port, KEY) as page,
        chromium() as browser,
    ):
        await browser.open_tab("a", page.origin, job)
        await browser.until(lambda: "snapshot" in browser.events("a"))
        ingest = await worker.take("ingest")
        await browser.until(lambda: "job.started" in browser.events("a"))
        assert await gateway.end() == 0
        await worker.next(ingest, "fetch")
        await gateway.start()
        await browser.until(lambda: "job.stage" in browser.events("a"))
        assert "reconnect" in browser.events("a")

        fetch = await worker.take("fetch")
        await browser.until(lambda: browser.events("a").count("job.started") == 2)
        last = browser.seen["a"][-1]["id"]
        await gateway.kill()
        await worker.next(fetch, "transcode")
        await gateway.start()
        for stage, following in (("transcode", "store"), ("store", None)):
            grant = await worker.take(stage)
            await (worker.next(grant, following) if following else worker.done(grant))
        await browser.until(lambda: "end" in browser.events("a"))
        assert last in page.cursors
        await browser.until(lambda: "closed" in browser.events("a"))
    assert shown(browser, "a") == ["snapshot", *WHOLE, "end", "closed"]
    told = [one for one in browser.seen["a"] if one["event"] in WHOLE]
    assert [one["data"]["rev"] for one in told] == list(range(2, 10))
    assert all(one["id"] == one["data"]["id"] for one in told)
    assert page.cursors[-1] == told[-1]["id"]
    assert browser.seen["a"][-1]["event"] == "closed", "and asks no more"


@pytest.mark.heavy
async def test_a_browser_that_is_cut_off_before_the_first_event_has_a_cursor(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    job = await worker.submit()
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        front(lambda: gateway.port, KEY) as page,
        chromium() as browser,
    ):
        page.cut_after = b".0-0\n\n"
        await browser.open_tab("a", page.origin, job)
        await browser.until(lambda: "snapshot" in browser.events("a"))
    assert page.cursors[0] is None
    assert page.cursors[1] is not None
    assert page.cursors[1].endswith(".0-0")
    assert browser.events("a") == ["open", "error", "open", "snapshot"]


@pytest.mark.heavy
async def test_a_browser_that_is_turned_away_comes_back(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    """Too many streams: the answer is 200, for an EventSource gives up for good at anything else."""
    jobs = [await worker.submit() for _ in range(2)]
    async with (
        gateways(1, tmp_path, redis_url, GATEWAY_MAX_STREAMS=1) as (gateway,),
        front(lambda: gateway.port, KEY) as page,
        chromium() as browser,
    ):
        await browser.open_tab("first", page.origin, jobs[0])
        await browser.until(lambda: "snapshot" in browser.events("first"))
        await browser.open_tab("second", page.origin, jobs[1])
        await browser.until(lambda: "reconnect" in browser.events("second"))
        await worker.submitter.cancel(jobs[0], "test")
        await browser.until(lambda: "end" in browser.events("first"))
        await browser.until(lambda: "snapshot" in browser.events("second"), within_s=30)
        assert "closed" not in browser.events("second")
