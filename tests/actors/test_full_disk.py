"""Stages on a real disk that is full, or fills up: they wait, spend nothing and leave nothing; then they go on."""

import os
from pathlib import Path

import pytest

from actors.media.spans import URL_SPANS
from actors.media.task import Output, Result, StoreInput, decode, encode
from actors.native import find_native
from actors.storage.local import LocalStorage
from tests.actors.fault_server import FaultServer, File
from tests.actors.stages_on_disk import KIB, MIB, Stages
from tests.actors.test_fetch_page import serve_hls
from tests.media_samples import MediaFactory
from tests.small_disk import SmallDisk

pytestmark = pytest.mark.skipif(find_native() is None, reason="reelway-transcode is not built")


async def test_a_download_that_fills_the_disk_waits(
    stages: Stages, small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory
) -> None:
    data = media_factory.clip().read_bytes()
    server.routes["/clip.mp4"] = File(data, length=False)
    await stages.start("fetch")
    small_disk.fill(but_bytes=64 * KIB)
    assert len(data) > 2 * 64 * KIB
    job = await stages.fetch(server.url("/clip.mp4"))
    await stages.waits_for_room(job)
    assert stages.left("work", job) == []
    assert small_disk.free_bytes >= 64 * KIB
    small_disk.empty()
    view = await stages.go_on(job, lambda view: view.stage == "transcode")
    assert stages.left("work", job) == [view.refs[0].split("/")[2], "/".join(view.refs[0].split("/")[2:])]


async def test_a_playlist_that_fills_the_disk_waits(
    stages: Stages, small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory
) -> None:
    serve_hls(server, media_factory.hls())
    await stages.start("fetch")
    for but_bytes in (0, 32 * KIB, 128 * KIB):
        small_disk.fill(but_bytes=but_bytes)
        job = await stages.fetch(server.url("/hls/index.m3u8"))
        await stages.waits_for_room(job)
        assert stages.left("work", job) == []
        small_disk.empty()
        await stages.go_on(job, lambda view: view.stage == "transcode")


async def test_a_disk_without_room_for_a_name_waits(
    stages: Stages, small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory
) -> None:
    server.routes["/clip.mp4"] = File(media_factory.clip().read_bytes())
    await stages.start("fetch")
    small_disk.fill_names()
    job = await stages.fetch(server.url("/clip.mp4"))
    await stages.waits_for_room(job)
    small_disk.empty()
    await stages.go_on(job, lambda view: view.stage == "transcode")


async def test_nothing_is_read_below_the_floor(
    stages: Stages, small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory
) -> None:
    server.routes["/clip.mp4"] = File(media_factory.clip().read_bytes())
    await stages.start("fetch", storage__min_free_bytes=4 * MIB)
    small_disk.fill(but_bytes=4 * MIB - 64 * KIB)
    job = await stages.fetch(server.url("/clip.mp4"))
    await stages.waits_for_room(job)
    assert server.asked == []
    assert stages.left("work", job) == []
    small_disk.empty()
    await stages.go_on(job, lambda view: view.stage == "transcode")


async def test_a_file_that_would_go_below_the_floor_is_not_begun(
    stages: Stages, small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory
) -> None:
    data = media_factory.clip().read_bytes()
    server.routes["/clip.mp4"] = File(data)
    await stages.start("fetch", storage__min_free_bytes=4 * MIB)
    small_disk.fill(but_bytes=4 * MIB + len(data) // 2)
    job = await stages.fetch(server.url("/clip.mp4"))
    await stages.waits_for_room(job)
    assert len(server.asked) == 1
    assert stages.left("work", job) == []
    small_disk.empty()
    await stages.go_on(job, lambda view: view.stage == "transcode")


class Shelf:
    """A verified output in the work area of `data_dir`, and the published area on the small disk."""

    def __init__(self, stages: Stages, disk: SmallDisk, folder: Path, size_bytes: int) -> None:
        self.storage = LocalStorage(folder / "storage")
        self.stages = stages
        stages.data_dir = folder
        self.data = os.urandom(size_bytes)
        self.storage.root.mkdir(parents=True)
        (self.storage.root / "out").symlink_to(disk.path)

    async def input(self) -> bytes:
        path = "work/j00-x/1.made/output.mp3"
        await self.storage.write_atomic(path, self.data)
        digest = await self.storage.digest(path)
        output = Output(
            path=path, name="output.mp3", type="audio/mpeg", size_bytes=digest.size_bytes, sha256=digest.sha256
        )
        return encode(StoreInput(outputs=(output,), spans=URL_SPANS))


@pytest.mark.parametrize(("floor_bytes", "but_bytes"), [(0, 512 * KIB), (4 * MIB, 4 * MIB + 512 * KIB)])
async def test_a_result_that_must_be_copied_waits_for_room(
    stages: Stages, small_disk: SmallDisk, tmp_path: Path, floor_bytes: int, but_bytes: int
) -> None:
    """Storage over two file systems: nothing can be linked. The disk fills up, or would go below the floor."""
    shelf = Shelf(stages, small_disk, tmp_path / "data", 2 * MIB)
    await stages.start("store", storage__min_free_bytes=floor_bytes)
    small_disk.fill(but_bytes=but_bytes)
    job = await stages.submit("store", await shelf.input())
    await stages.waits_for_room(job)
    assert stages.left("out", job) == []
    assert small_disk.free_bytes >= but_bytes
    small_disk.empty()
    view = await stages.go_on(job, lambda view: view.state == "completed")
    result = decode(Result, view.result or b"")
    assert await shelf.storage.read(f"{result.path}/{result.outputs[0].file}") == shelf.data


async def test_a_result_that_is_linked_asks_for_no_room(stages: Stages, small_disk: SmallDisk) -> None:
    """It frees some, in the end: a floor that nobody can reach does not stop it."""
    storage = LocalStorage(stages.storage)
    path = "work/j00-x/1.made/output.mp3"
    await storage.write_atomic(path, b"music")
    digest = await storage.digest(path)
    output = Output(path=path, name="output.mp3", type="audio/mpeg", size_bytes=5, sha256=digest.sha256)
    await stages.start("store", storage__min_free_bytes=1 << 60)
    job = await stages.submit("store", encode(StoreInput(outputs=(output,), spans=URL_SPANS)))
    await stages.cluster.until(job, lambda view: view.state == "completed")


async def test_a_manifest_that_finds_no_room_waits_and_leaves_nothing(stages: Stages, small_disk: SmallDisk) -> None:
    storage = LocalStorage(stages.storage)
    path = "work/j00-x/1.made/output.mp3"
    await storage.write_atomic(path, b"music")
    digest = await storage.digest(path)
    output = Output(path=path, name="output.mp3", type="audio/mpeg", size_bytes=5, sha256=digest.sha256)
    await stages.start("store")
    small_disk.fill()
    job = await stages.submit("store", encode(StoreInput(outputs=(output,), spans=URL_SPANS)))
    await stages.waits_for_room(job)
    assert stages.left("out", job) == []
    small_disk.empty()
    await stages.go_on(job, lambda view: view.state == "completed")
