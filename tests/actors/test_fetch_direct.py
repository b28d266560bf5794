"""Reading a file behind an address: whole, of one version, or a code that says why not."""

import asyncio
import gzip
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from actors.egress import EgressPolicy
from actors.fetch.connection import Guard, open_client
from actors.fetch.direct import Downloaded, NotAFile, download
from actors.fetch.sniff import Content
from actors.media.errors import MediaError
from tests.actors.fault_server import FaultServer, File, page, redirect, status
from tests.actors.tasks import LOOPBACK

DATA = random.Random(7).randbytes(700_000)
OTHER = random.Random(8).randbytes(700_000)


class Reader:
    """A client that may connect to loopback."""

    def __init__(self, folder: Path, client: aiohttp.ClientSession, guard: Guard) -> None:
        self.target = folder / "source"
        self.client = client
        self.guard = guard
        self.counts: list[tuple[int, int | None]] = []
        self.expected: list[int] = []

    async def __call__(self, address: str, max_bytes: int = 10_000_000) -> Downloaded | NotAFile:
        return await download(
            self.client,
            self.guard,
            address,
            self.target,
            max_bytes=max_bytes,
            on_bytes=lambda done, total: self.counts.append((done, total)),
            before_body=self.expect,
        )

    async def expect(self, size_bytes: int) -> None:
        self.expected.append(size_bytes)

    async def refused(self, address: str, max_bytes: int = 10_000_000) -> MediaError:
        with pytest.raises(MediaError) as caught:
            await self(address, max_bytes)
        return caught.value


@pytest.fixture
async def read(tmp_path: Path) -> AsyncIterator[Reader]:
    guard = Guard(EgressPolicy(LOOPBACK))
    async with open_client(guard, connect_timeout_s=5.0, read_timeout_s=1.0) as client:
        yield Reader(tmp_path, client, guard)


def assert_is(read: Reader, got: Downloaded | NotAFile, data: bytes) -> None:
    assert isinstance(got, Downloaded)
    assert read.target.read_bytes() == data
    assert got.size_bytes == len(data)
    assert got.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_plain_file_is_read_in_one_request(server: FaultServer, read: Reader) -> None:
    server.routes["/a/My%20clip.mp4"] = server.routes["/a/My clip.mp4"] = File(DATA)
    got = await read(server.url("/a/My%20clip.mp4"))
    assert_is(read, got, DATA)
    assert isinstance(got, Downloaded)
    assert got.name == "My clip.mp4"
    assert [entry[:3] for entry in server.asked] == [("GET", "/a/My clip.mp4", None)]
    assert read.counts[-1] == (len(DATA), len(DATA))


async def test_the_name_that_the_server_gives_wins(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, disposition="attachment; filename*=UTF-8''caf%C3%A9.mp4")
    got = await read(server.url("/x"))
    assert isinstance(got, Downloaded)
    assert got.name == "café.mp4"


async def test_a_cut_connection_is_resumed_where_it_ended(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, cuts=[200_000, 450_000])
    assert_is(read, await read(server.url("/x")), DATA)
    assert len(server.asked) == 3
    for _, _, asked, condition in server.asked[1:]:
        assert asked is not None
        assert int(asked.removeprefix("bytes=").rstrip("-")) > 0
        assert condition is not None


async def test_ranges_may_be_shorter_than_asked_for(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, cuts=[200_000], most_in_range=300_000)
    assert_is(read, await read(server.url("/x")), DATA)
    assert len(server.asked) >= 3


async def test_without_ranges_it_starts_again(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, cuts=[300_000], ranges=False)
    assert_is(read, await read(server.url("/x")), DATA)


async def test_without_a_validator_no_range_is_asked_for(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, cuts=[300_000], etag=False)
    assert_is(read, await read(server.url("/x")), DATA)
    assert server.ranges() == [None, None]


async def test_a_file_that_changes_meanwhile_is_never_mixed(server: FaultServer, read: Reader) -> None:
    first = File(DATA, cuts=[523_264])
    second = File(OTHER)

    async def swap(request: web.Request) -> web.StreamResponse:
        return await (first if first.cuts else second)(request)

    server.routes["/x"] = swap
    assert_is(read, await read(server.url("/x")), OTHER)


async def test_a_range_of_another_version_starts_again(server: FaultServer, read: Reader) -> None:
    """A server that ignores If-Range but names the new ETag in its 206."""
    first = File(DATA, cuts=[400_000])
    second = File(OTHER, ignore_condition=True)

    async def swap(request: web.Request) -> web.StreamResponse:
        return await (first if first.cuts else second)(request)

    server.routes["/x"] = swap
    assert_is(read, await read(server.url("/x")), OTHER)
    assert [asked is not None for asked in server.ranges()] == [False, True, False]


async def test_another_range_than_asked_for_starts_again(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, cuts=[400_000], other_start=True)
    assert_is(read, await read(server.url("/x")), DATA)


async def test_a_file_that_always_ends_early_is_truncated(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, promised=len(DATA) + 5000, etag=False)
    assert (await read.refused(server.url("/x"))).code == "SOURCE_TRUNCATED"


async def test_a_resumed_file_that_never_gets_to_its_end_is_an_error(server: FaultServer, read: Reader) -> None:
    """The ranges tell another length than the first answer did."""
    server.routes["/x"] = File(DATA, promised=len(DATA) + 5000)
    assert (await read.refused(server.url("/x"))).code == "RESOURCE_CHANGED"


async def test_an_unknown_length_has_no_total(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, length=False)
    assert_is(read, await read(server.url("/x")), DATA)
    assert {total for _, total in read.counts} == {None}


async def test_a_cut_chunked_body_is_not_the_end(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(DATA, length=False, cuts=[100_000])
    assert_is(read, await read(server.url("/x")), DATA)


async def test_a_silent_server_is_left(server: FaultServer, read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.fetch.direct.TRIES_WITHOUT_PROGRESS", 1)
    server.routes["/x"] = File(DATA, pause_s=30.0)
    error = await asyncio.wait_for(read.refused(server.url("/x")), 10.0)
    assert error.code == "NET_TEMP"


@pytest.mark.parametrize(
    ("code", "headers", "expected", "after_s"),
    [
        (404, {}, "NOT_FOUND", None),
        (410, {}, "NOT_FOUND", None),
        (401, {}, "LOGIN_REQUIRED", None),
        (403, {}, "SOURCE_REFUSED", None),
        (429, {"Retry-After": "7"}, "RATE_LIMITED", 7.0),
        (503, {"Retry-After": "3"}, "NET_TEMP", 3.0),
        (500, {}, "NET_TEMP", None),
        (204, {}, "NOT_MEDIA", None),
    ],
)
async def test_statuses_have_codes(
    server: FaultServer, read: Reader, code: int, headers: dict[str, str], expected: str, after_s: float | None
) -> None:
    server.routes["/x"] = status(code, headers)
    error = await read.refused(server.url("/x"))
    assert (error.code, error.retry_after_s) == (expected, after_s)


async def test_limits_hold_for_promised_and_for_real_sizes(server: FaultServer, read: Reader) -> None:
    server.routes["/promised"] = File(DATA)
    server.routes["/real"] = File(DATA, length=False)
    for path in ("/promised", "/real"):
        assert (await read.refused(server.url(path), max_bytes=100_000)).code == "TOO_LARGE"
        assert read.target.stat().st_size <= 100_000


async def test_an_empty_file_is_no_media(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = File(b"")
    error = await read.refused(server.url("/x"))
    assert error.code == "NOT_MEDIA"
    assert error.message == "The file behind the address is empty."


async def test_a_web_page_in_the_place_of_a_file_is_named(server: FaultServer, read: Reader) -> None:
    server.routes["/x"] = page("\n <!DOCTYPE html><html>log in</html>", "video/mp4")
    error = await read.refused(server.url("/x"))
    assert error.code == "NOT_MEDIA"
    assert error.message == "The site returned a web page instead of a media file."


async def test_pages_and_playlists_are_left_to_the_extractor(server: FaultServer, read: Reader) -> None:
    server.routes["/page"] = page("<html><video src=x></html>")
    server.routes["/list"] = page("#EXTM3U\n#EXT-X-VERSION:3\n", "application/octet-stream")
    assert await read(server.url("/page")) == NotAFile(Content.PAGE)
    assert await read(server.url("/list")) == NotAFile(Content.MANIFEST)
    assert read.target.read_bytes() == b""


async def test_a_page_that_is_compressed_unasked_is_still_a_page(server: FaultServer, read: Reader) -> None:
    async def compressed(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
        return web.Response(body=gzip.compress(b"<html></html>"), headers=headers)

    server.routes["/page"] = compressed
    assert await read(server.url("/page")) == NotAFile(Content.PAGE)


async def test_redirects_are_followed_and_bounded(server: FaultServer, read: Reader) -> None:
    server.routes["/first"] = redirect("/second")
    server.routes["/second"] = redirect(server.url("/clip.mp4"), 307)
    server.routes["/clip.mp4"] = File(DATA)
    assert_is(read, await read(server.url("/first")), DATA)
    server.routes["/loop"] = redirect("/loop")
    assert (await read.refused(server.url("/loop"))).code == "REDIRECT_LOOP"
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"):
        server.routes["/out"] = redirect(target)
        assert (await read.refused(server.url("/out"))).code == "INVALID_SOURCE"


async def test_a_closed_port_and_an_unknown_name_have_codes(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.fetch.direct.TRIES_WITHOUT_PROGRESS", 1)
    assert (await read.refused("http://127.0.0.1:1/x")).code == "NET_TEMP"
    assert (await read.refused("http://no-such-host.invalid/x")).code == "HOST_UNKNOWN"


async def test_a_canceled_download_leaves_no_open_connection(server: FaultServer, read: Reader) -> None:
    started = asyncio.Event()
    file = File(DATA, pause_s=0.05)

    async def slow(request: web.Request) -> web.StreamResponse:
        started.set()
        return await file(request)

    server.routes["/x"] = slow
    reading = asyncio.create_task(read(server.url("/x")))
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not any(read.client.connector._conns.values())  # type: ignore[union-attr]
