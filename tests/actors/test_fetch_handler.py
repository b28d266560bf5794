"""The stage fetch without Redis: from a spec to the input of transcode, with nothing left behind on failure."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from actors.fetch import Fetch
from actors.fetch.meter import Meter
from actors.kernel import Next
from actors.kernel.limits import Limits
from actors.media.errors import MediaError
from actors.media.spans import URL_SPANS
from actors.media.task import JobSpec, TranscodeInput, decode
from actors.native import find_native
from actors.settings import EgressSettings, FetchSettings, MediaSettings
from actors.storage.keys import upload_data, work_folder
from actors.storage.local import LocalStorage
from actors.storage.uploads import UploadMeta, write_upload
from tests.actors.fault_server import FaultServer, File, page
from tests.actors.tasks import FENCE, JOB, LOOPBACK, fetch_task
from tests.actors.test_fetch_page import serve_hls
from tests.media_samples import MediaFactory

needs_native = pytest.mark.skipif(find_native() is None, reason="reelway-transcode is not built")
UPLOAD = "u00-01jd0000000000000000000001"


def make_fetch(storage: LocalStorage, limits: Limits | None = None, **media: object) -> Fetch:
    return Fetch(storage, FetchSettings(), MediaSettings(**media), EgressSettings(allow=LOOPBACK), limits)  # type: ignore[arg-type]


def spec(source: str, target: str = "mp3", **more: object) -> JobSpec:
    return JobSpec(source=source, format=target, **more)  # type: ignore[arg-type]


async def upload(storage: LocalStorage, data: bytes, name: str = "My clip.mp4", tenant: str = "default") -> None:
    path = storage.local_path(upload_data(UPLOAD))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    now = datetime.now(UTC)
    await write_upload(
        storage,
        UploadMeta(
            id=UPLOAD,
            name=name,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            created_at=now,
            expires_at=now + timedelta(days=1),
            tenant=tenant,
        ),
    )


def body_of(result: Next) -> TranscodeInput:
    assert result.stage == "transcode"
    body = decode(TranscodeInput, result.input)
    assert result.refs == (body.source.path,)
    return body


@needs_native
async def test_a_file_is_fetched_probed_and_planned(
    server: FaultServer, storage: LocalStorage, media_factory: MediaFactory
) -> None:
    data = media_factory.clip().read_bytes()
    server.routes["/clip.mp4"] = File(data)
    task, reports = fetch_task(spec(server.url("/clip.mp4")))
    body = body_of(await make_fetch(storage).handle(task))
    assert storage.local_path(body.source.path).read_bytes() == data
    assert body.source.path.startswith(work_folder(JOB, FENCE))
    assert (body.source.name, body.source.size_bytes) == ("clip.mp4", len(data))
    assert body.source.sha256 == hashlib.sha256(data).hexdigest()
    assert {stream.codec for stream in body.probe.streams} == {"h264", "aac"}
    assert body.plan.path == "extract_audio"
    assert body.plan.duration_s == pytest.approx(8.0, abs=0.05)
    assert reports.percents == sorted(reports.percents)
    assert reports.percents[-1] == URL_SPANS["fetch"][1]


@needs_native
async def test_an_upload_is_linked_and_checked(storage: LocalStorage, media_factory: MediaFactory) -> None:
    await upload(storage, media_factory.clip().read_bytes())
    task, _ = fetch_task(spec(f"upload:{UPLOAD}", "mp4"))
    body = body_of(await make_fetch(storage).handle(task))
    assert body.source.name == "My clip.mp4"
    assert body.plan.path == "remux"
    assert storage.local_path(body.source.path).samefile(storage.local_path(upload_data(UPLOAD)))


@needs_native
async def test_a_page_leads_to_its_video(
    server: FaultServer, storage: LocalStorage, media_factory: MediaFactory
) -> None:
    server.routes["/page"] = page("<html><head><title>My page</title></head><video src='/clip.mp4'></video></html>")
    server.routes["/clip.mp4"] = File(media_factory.clip().read_bytes(), cuts=[300_000])
    task, _ = fetch_task(spec(server.url("/page")))
    body = body_of(await make_fetch(storage).handle(task))
    assert body.source.name == "My page"
    assert storage.local_path(body.source.path).read_bytes() == media_factory.clip().read_bytes()


@needs_native
async def test_a_playlist_becomes_one_source(
    server: FaultServer, storage: LocalStorage, media_factory: MediaFactory
) -> None:
    serve_hls(server, media_factory.hls())
    task, reports = fetch_task(spec(server.url("/hls/index.m3u8"), "mp4"))
    body = body_of(await make_fetch(storage).handle(task))
    assert body.probe.container == "mpegts"
    video = next(stream for stream in body.probe.streams if stream.kind == "video")
    assert video.packets == 240
    assert reports.percents == sorted(reports.percents)
    names = [path.name for path in storage.local_path(work_folder(JOB, FENCE)).rglob("*") if path.is_file()]
    assert names == ["source"]


@needs_native
@pytest.mark.parametrize(
    ("sample", "target", "code"),
    [
        ("truncated", "mp3", "SOURCE_TRUNCATED"),
        ("text", "mp3", "NOT_MEDIA"),
        ("web_page", "mp3", "NOT_MEDIA"),
        ("empty", "mp3", "NOT_MEDIA"),
        ("silent_clip", "mp3", "NO_AUDIO"),
        ("audio", "mp4", "NO_VIDEO"),
        ("cover_art", "webm", "NO_VIDEO"),
    ],
)
async def test_unusable_uploads_have_codes_and_leave_nothing(
    storage: LocalStorage, media_factory: MediaFactory, sample: str, target: str, code: str
) -> None:
    await upload(storage, getattr(media_factory, sample)().read_bytes())
    task, _ = fetch_task(spec(f"upload:{UPLOAD}", target))
    with pytest.raises(MediaError) as caught:
        await make_fetch(storage).handle(task)
    assert caught.value.code == code
    assert not storage.local_path(work_folder(JOB, FENCE)).exists()
    assert storage.local_path(upload_data(UPLOAD)).exists()


async def test_missing_foreign_and_damaged_uploads_have_codes(storage: LocalStorage) -> None:
    async def code() -> str:
        task, _ = fetch_task(spec(f"upload:{UPLOAD}"))
        with pytest.raises(MediaError) as caught:
            await make_fetch(storage).handle(task)
        return caught.value.code

    assert await code() == "UPLOAD_NOT_FOUND"
    await upload(storage, b"data", tenant="other")
    assert await code() == "UPLOAD_NOT_FOUND"
    await upload(storage, b"data")
    storage.local_path(upload_data(UPLOAD)).write_bytes(b"dat4")
    assert await code() == "UPLOAD_DAMAGED"


@needs_native
async def test_limits_of_the_installation_hold(storage: LocalStorage, media_factory: MediaFactory) -> None:
    for limit, code in (({"max_duration_s": 5.0}, "TOO_LONG"), ({"max_pixels": 320 * 180 - 1}, "PICTURE_TOO_LARGE")):
        await upload(storage, media_factory.clip().read_bytes())
        task, _ = fetch_task(spec(f"upload:{UPLOAD}"))
        with pytest.raises(MediaError) as caught:
            await make_fetch(storage, **limit).handle(task)
        assert caught.value.code == code


async def test_cancel_in_the_middle_leaves_nothing(server: FaultServer, storage: LocalStorage) -> None:
    started = asyncio.Event()
    file = File(b"\x00" * 1_000_000, pause_s=0.05)

    async def slow(request: web.Request) -> web.StreamResponse:
        started.set()
        return await file(request)

    server.routes["/x.mp4"] = slow
    task, _ = fetch_task(spec(server.url("/x.mp4")))
    handling = asyncio.create_task(make_fetch(storage).handle(task))
    await started.wait()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert not storage.local_path(work_folder(JOB, FENCE)).exists()


@needs_native
async def test_a_missing_native_program_is_said(
    storage: LocalStorage, media_factory: MediaFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await upload(storage, media_factory.clip().read_bytes())
    monkeypatch.setattr("actors.native.NATIVE_PROGRAM", "reelway-no-such-program")
    task, _ = fetch_task(spec(f"upload:{UPLOAD}"))
    with pytest.raises(MediaError) as caught:
        await make_fetch(storage).handle(task)
    assert caught.value.code == "NATIVE_MISSING"


def test_the_meter_never_invents_a_percent_or_a_speed() -> None:
    task, reports = fetch_task(spec("https://example.com/a"))
    now = 0.0
    meter = Meter(task, URL_SPANS, 1.0, lambda: now)
    for second in range(1, 6):
        now = float(second)
        meter.update(second * 1000, None)
    assert set(reports.percents) == {0.0}
    assert reports.progress[-1].speed == pytest.approx(1000.0)
    assert reports.progress[-1].eta_s is None
    assert reports.progress[-1].bytes_total is None
    now = 6.0
    meter.update(6000, 12_000)
    assert reports.percents[-1] == pytest.approx(18.5)
    assert reports.progress[-1].eta_s == pytest.approx(6.0)
    now = 7.0
    meter.update(100, 12_000)  # it had to start again
    assert reports.percents[-1] == pytest.approx(18.5)
    assert reports.progress[-1].speed is None
