"""Pages and playlists through the real yt-dlp, in its process, against a server on loopback."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from aiohttp import web

from actors.fetch.formats import choose
from actors.fetch.messages import Assembled, DirectFormat, Failed, Moving, Request
from actors.fetch.page import as_error, extract
from actors.media.errors import MediaError
from tests.actors.fault_server import FaultServer, File, page, status
from tests.actors.tasks import LOOPBACK
from tests.media_samples import MediaFactory

Extract = Callable[..., Awaitable[DirectFormat | Assembled]]
PLAYLIST = "application/vnd.apple.mpegurl"


def serve_hls(server: FaultServer, playlist: Path, at: str = "/hls") -> None:
    for file in playlist.parent.iterdir():
        kind = PLAYLIST if file.suffix == ".m3u8" else "video/mp2t"
        server.routes[f"{at}/{file.name}"] = File(file.read_bytes(), content_type=kind)


def request(address: str, folder: Path, **changes: object) -> Request:
    folder.mkdir(exist_ok=True)
    given = {
        "address": address,
        "folder": str(folder),
        "audio_only": False,
        "shortest_side": None,
        "codecs": ("h264", "aac"),
        "allow": LOOPBACK,
        "max_bytes": 10**8,
        "timeout_s": 5.0,
        "parent": os.getpid(),
        **changes,
    }
    return Request(**given)  # type: ignore[arg-type]


async def failure(address: str, folder: Path, **changes: object) -> MediaError:
    with pytest.raises(MediaError) as caught:
        await extract(request(address, folder, **changes), lambda moving: None)
    return caught.value


async def test_a_video_in_a_page_is_a_file_to_download(server: FaultServer, tmp_path: Path) -> None:
    server.routes["/page"] = page("<html><head><title>My page</title></head><video src='/clip.mp4'></video></html>")
    got = await extract(request(server.url("/page"), tmp_path / "p"), lambda moving: None)
    assert isinstance(got, DirectFormat)
    assert got.address == server.url("/clip.mp4")
    assert got.name == "My page"
    assert list((tmp_path / "p").iterdir()) == []


async def test_a_playlist_is_put_together_whole(
    server: FaultServer, tmp_path: Path, media_factory: MediaFactory
) -> None:
    playlist = media_factory.hls()
    serve_hls(server, playlist)
    moves: list[Moving] = []
    got = await extract(request(server.url("/hls/index.m3u8"), tmp_path / "p"), moves.append)
    assert isinstance(got, Assembled)
    parts = sorted(playlist.parent.glob("part*.ts"))
    assert Path(got.path).read_bytes() == b"".join(part.read_bytes() for part in parts)
    fractions = [move.fraction for move in moves if move.fraction is not None]
    assert fractions
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)


async def test_a_lost_segment_is_never_skipped(
    server: FaultServer, tmp_path: Path, media_factory: MediaFactory
) -> None:
    serve_hls(server, media_factory.hls())
    del server.routes["/hls/part002.ts"]
    assert (await failure(server.url("/hls/index.m3u8"), tmp_path / "p")).code == "FRAGMENT_LOST"


async def test_a_live_playlist_is_refused(server: FaultServer, tmp_path: Path, media_factory: MediaFactory) -> None:
    serve_hls(server, media_factory.hls("live", lasting=False))
    assert (await failure(server.url("/hls/index.m3u8"), tmp_path / "p")).code == "LIVE_NOT_SUPPORTED"


async def test_sizes_are_bounded(server: FaultServer, tmp_path: Path, media_factory: MediaFactory) -> None:
    serve_hls(server, media_factory.hls())
    assert (await failure(server.url("/hls/index.m3u8"), tmp_path / "p", max_bytes=1000)).code == "TOO_LARGE"


async def test_an_endless_page_is_too_large(server: FaultServer, tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        await response.write(b"<html>")
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"<p>" * 300_000)
        return response

    server.routes["/page"] = endless
    error = await failure(server.url("/page"), tmp_path / "p", memory_bytes=400 * 1024**2)
    assert error.code == "TOO_LARGE"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<html><body>nothing to see</body></html>", "URL_UNSUPPORTED"),
        ("<html><iframe src='https://www.youtube.com/embed/abcdefghijk'></iframe></html>", "URL_UNSUPPORTED"),
    ],
)
async def test_pages_without_media_and_platforms_are_refused(
    server: FaultServer, tmp_path: Path, body: str, code: str
) -> None:
    server.routes["/page"] = page(body)
    assert (await failure(server.url("/page"), tmp_path / "p")).code == code


@pytest.mark.parametrize(
    ("answer", "headers", "code", "after_s"),
    [(404, {}, "NOT_FOUND", None), (429, {"Retry-After": "9"}, "RATE_LIMITED", 9.0)],
)
async def test_statuses_of_pages_have_the_codes_of_files(
    server: FaultServer, tmp_path: Path, answer: int, headers: dict[str, str], code: str, after_s: float | None
) -> None:
    server.routes["/page"] = status(answer, headers)
    error = await failure(server.url("/page"), tmp_path / "p")
    assert (error.code, error.retry_after_s) == (code, after_s)


async def test_the_process_connects_only_where_it_may(server: FaultServer, tmp_path: Path) -> None:
    server.routes["/page"] = page("<html></html>")
    assert (await failure(server.url("/page"), tmp_path / "p", allow=())).code == "ADDRESS_REFUSED"
    assert server.asked == []
    inner = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://169.254.169.254/a.ts\n#EXT-X-ENDLIST\n"
    server.routes["/list.m3u8"] = page(inner, PLAYLIST)
    assert (await failure(server.url("/list.m3u8"), tmp_path / "q")).code == "ADDRESS_REFUSED"


def extractors_of(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    return [child for child in found if "actors.fetch.extractor" in " ".join(child.cmdline())]


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the end of another process sends no event
            await asyncio.sleep(0.01)


def hanging(asked: asyncio.Event) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    return handle


async def test_cancel_ends_the_whole_process_group(server: FaultServer, tmp_path: Path) -> None:
    asked = asyncio.Event()
    server.routes["/page"] = hanging(asked)
    reading = asyncio.create_task(extract(request(server.url("/page"), tmp_path / "p"), lambda moving: None))
    await asyncio.wait_for(asked.wait(), 10.0)
    (child,) = extractors_of(os.getpid())
    started = asyncio.get_running_loop().time()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert asyncio.get_running_loop().time() - started < 3.0
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_the_process_dies_with_its_parent(server: FaultServer, tmp_path: Path) -> None:
    asked = asyncio.Event()
    server.routes["/page"] = hanging(asked)
    program = (
        "import asyncio, os, sys, msgspec\n"
        "from actors.fetch.messages import Request\n"
        "from actors.fetch.page import extract\n"
        "given = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)\n"
        "given = msgspec.structs.replace(given, parent=os.getpid())\n"
        "asyncio.run(extract(given, lambda moving: None))\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE)
    assert parent.stdin is not None
    parent.stdin.write(msgspec.json.encode(request(server.url("/page"), tmp_path / "p")))
    parent.stdin.close()
    await asyncio.wait_for(asked.wait(), 15.0)
    (child,) = extractors_of(parent.pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 2.0)


def test_failures_are_classified_from_the_surest_fact_on() -> None:
    def code(**facts: object) -> str:
        return as_error(Failed(**facts)).code  # type: ignore[arg-type]

    assert code(exceptions=("GeoRestrictedError",), text="Private video") == "GEO_BLOCKED"
    assert code(exceptions=("TransportError",), status=404) == "NOT_FOUND"
    assert code(exceptions=("CertificateVerifyError", "TransportError")) == "CERTIFICATE_INVALID"
    assert code(text="This video is DRM protected") == "DRM"
    assert code(text="something new") == "URL_UNSUPPORTED"
    assert code(text="something new", expected=False) == "EXTRACTOR_BROKEN"
    assert code(text="KeyError('id'); please report this issue", expected=False) == "EXTRACTOR_BROKEN"


def entry(name: str, height: int | None, vcodec: str | None, acodec: str | None, **more: object) -> dict[str, object]:
    width = None if height is None else height * 16 // 9
    return {
        "format_id": name, "height": height, "width": width, "vcodec": vcodec, "acodec": acodec,
        "protocol": "https", **more,
    }  # fmt: skip


LOW = entry("low", 360, "avc1.42", "mp4a.40")
HIGH = entry("high", 1080, "avc1.64", "mp4a.40")
OPEN = entry("open", 1080, "vp09.00", "opus")
SOUND = entry("sound", None, "none", "mp4a.40")
ORIGINAL = entry("original", None, "none", "opus", language_preference=10)
PICTURE = entry("picture", 2160, "avc1.64", "none")


@pytest.mark.parametrize(
    ("formats", "audio_only", "side", "codecs", "expected"),
    [
        ([LOW, HIGH, SOUND, PICTURE], True, None, (), "sound"),
        ([LOW, HIGH], True, None, (), "high"),
        ([LOW, HIGH, SOUND, PICTURE], False, None, (), "high"),
        ([LOW, HIGH], False, 720, (), "low"),
        ([HIGH], False, 720, (), "high"),
        ([HIGH, OPEN], False, None, ("h264", "aac"), "high"),
        ([HIGH, OPEN], False, None, ("vp9", "opus"), "open"),
        ([SOUND, PICTURE], False, None, (), None),
        ([PICTURE], False, None, (), "picture"),
        ([entry("?", None, None, None)], False, 720, (), "?"),
        ([entry("rtmp", 360, "avc1", "mp4a", protocol="rtmp")], False, None, (), None),
        ([entry("drm", 360, "avc1", "mp4a", has_drm=True)], False, None, (), None),
        ([ORIGINAL, {**SOUND, "language_preference": -1}], True, None, (), "original"),
        ([], False, None, (), None),
    ],
)  # fmt: skip
def test_one_format_that_holds_everything_is_chosen(
    formats: list[dict[str, object]], audio_only: bool, side: int | None, codecs: tuple[str, ...], expected: str | None
) -> None:
    chosen = choose(formats, audio_only=audio_only, shortest_side=side, codecs=codecs)
    assert (None if chosen is None else chosen["format_id"]) == expected
