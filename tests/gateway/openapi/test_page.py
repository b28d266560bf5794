"""`/docs`: readable without a script, and complete in itself. A real browser looks at it."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.http.application import ROUTES
from gateway.http.service import GatewayService
from gateway.openapi.document import build_document
from gateway.openapi.page import build_page

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = (390, 844)


class Elements(HTMLParser):
    """What the page consists of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.addresses: set[str] = set()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no script"
            if name == "id":
                assert value not in self.ids, "an id stands once"
                self.ids.add(str(value))
            elif name in ("href", "src", "action"):
                self.addresses.add(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_it_is_whole_and_loads_nothing(gateway: GatewayService) -> None:
    async with aiohttp.ClientSession(gateway.url) as anybody, anybody.get("/docs") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        page = await response.text()
    elements = Elements(page)
    assert not elements.open
    assert elements.tags.isdisjoint({"script", "iframe", "img", "object", "form"})
    assert "@import" not in page
    assert "url(" not in page
    outward = {address for address in elements.addresses if not address.startswith("#")}
    assert outward == {"/openapi.json", "data:,"}
    assert {address[1:] for address in elements.addresses if address.startswith("#")} <= elements.ids
    assert {route.operation.name for route in ROUTES if route.method != "HEAD"} <= elements.ids


def test_text_of_the_document_is_no_markup() -> None:
    document = build_document(ROUTES)
    document["info"]["description"] = "<script>alert(1)</script> & `<b>`"
    page = build_page(document)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; <code>&lt;b&gt;</code>" in page


class Browser:
    """A headless Chromium, told what to do over its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def until(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self.events.append(await self._socket.receive_json())

    async def evaluate(self, expression: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, "--remote-debugging-port=0", f"--user-data-dir={tmp_path / 'profile'}", "about:blank",
        stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            port = await _port(process)
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                (target,) = [each for each in json.loads(await response.text()) if each["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                browser = Browser(socket)
                yield browser
                # It ends its own children; nobody else knows them.
                await browser.call("Browser.close")
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        if match := re.search(rb"ws://127\.0\.0\.1:(\d+)/", line):
            return int(match[1])
    raise AssertionError("the browser has ended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_browser_shows_it_and_asks_nobody_else(gateway: GatewayService, browser: Browser, scheme: str) -> None:
    for domain in ("Page", "Network", "Log", "Runtime"):
        await browser.call(f"{domain}.enable")
    width, height = PHONE
    await browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True
    )
    await browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    await browser.call("Page.navigate", url=f"{gateway.url}/docs#submitJob")
    await browser.until("Page.loadEventFired")
    assert await browser.evaluate("document.querySelector('#submitJob h3').innerText") == "Submit a job"
    front, back = [
        await browser.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    ]
    assert (_brightness(front) < _brightness(back)) == (scheme == "light"), (
        "the style is allowed, and follows the scheme"
    )
    assert await browser.evaluate("document.documentElement.scrollWidth") <= width, "it fits a phone"
    assert await browser.evaluate("document.querySelector('#submitJob').getBoundingClientRect().top") < height
    await browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    asked = {
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    }
    assert {address for address in asked if not address.startswith("data:")} == {f"{gateway.url}/docs"}
    assert [event["params"] for event in browser.events if event["method"] == "Log.entryAdded"] == []


def _brightness(color: str) -> int:
    return sum(int(part) for part in re.findall(r"\d+", color)[:3])
