"""What the collector deletes, and what it never touches. Redis is real, the clock is a number."""

import errno
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio

from actors.kernel import KernelOptions, Partitions, Release, Submission, Submitter, Worker, new_nonce, read_job
from actors.kernel.items import Commit, Grant
from actors.media.task import JobSpec, Manifest, Result, encode
from actors.reaper.collector import UNNAMED, Collector
from actors.settings import StorageSettings
from actors.storage.local import LocalStorage
from actors.storage.uploads import UploadMeta, write_upload
from tests.small_disk import SmallDisk

SETTINGS = StorageSettings(collect_after_s=600.0, results_s=10_000.0, uploads_s=3_600.0)
SPEC = JobSpec(source="https://example.com/a", format="mp3")
START = datetime(2026, 11, 20, tzinfo=UTC)
UPLOAD = "u00-01jd0000000000000000000001"


class World:
    """One installation with one worker, a storage and a clock that tests move."""

    def __init__(self, client: redis.asyncio.Redis, storage: LocalStorage) -> None:
        self.partitions = Partitions(1)
        options = KernelOptions()
        self.client = client
        self.storage = storage
        self.now_s = START.timestamp()
        self.submitter = Submitter(client, self.partitions, options)
        self.worker = Worker(client, self.partitions, options, "tester")
        self.collector = self.another_collector()

    def another_collector(self) -> Collector:
        return Collector(self.client, self.partitions, self.storage, SETTINGS, lambda: self.now_s)

    async def submit(self, source: str = SPEC.source) -> str:
        spec = encode(JobSpec(source=source, format="mp3"))
        submitted = await self.submitter.submit(Submission(tenant="default", stage="ingest", spec=spec, input=b"{}"))
        return submitted.job

    async def take(self, stage: str) -> Grant:
        keys = self.partitions.keys("00")
        inboxes = [keys.inbox(stage, "cpu", "again"), keys.inbox(stage, "cpu", "normal")]
        (grant,) = (await self.worker.take("00", inboxes, 1, new_nonce())).grants
        return grant

    async def next(self, grant: Grant, stage: str, refs: tuple[str, ...] = ()) -> None:
        commit = Commit(grant.job, grant.fence, "next", stage, "cpu", b"{}", refs)
        (end,) = await self.worker.commit("00", [commit])
        assert end == "OK"

    async def done(self, grant: Grant, path: str) -> None:
        result = encode(Result(path=path, outputs=()))
        (end,) = await self.worker.commit("00", [Commit(grant.job, grant.fence, "done", "", "", result)])
        assert end == "OK"

    async def folder(self, area: str, job: str, fence: str, file: str = "source") -> str:
        await self.storage.write_atomic(f"{area}/{job}/{fence}/{file}", b"data")
        return f"{area}/{job}/{fence}"

    async def publish(self, job: str, fence: str) -> str:
        folder = await self.folder("out", job, fence, "output.mp3")
        created = datetime.fromtimestamp(self.now_s, UTC)
        manifest = Manifest(job=job, tenant="default", spec=SPEC, outputs=(), created_at=created)
        await self.storage.write_atomic(f"{folder}/manifest.json", encode(manifest))
        return folder

    async def pass_after(self, seconds: float) -> None:
        self.now_s += seconds
        await self.collector.collect()


@pytest.fixture
async def world(redis_client: redis.asyncio.Redis, storage: LocalStorage) -> World:
    return World(redis_client, storage)


async def test_the_folder_of_the_current_fence_stays_however_long(world: World) -> None:
    await world.submit()
    grant = await world.take("ingest")
    folder = await world.folder("work", grant.job, grant.fence)
    for _ in range(5):
        await world.pass_after(10_000)
    assert await world.storage.exists(folder)


async def test_a_folder_goes_ten_minutes_after_nothing_names_it(world: World) -> None:
    job = await world.submit()
    await world.take("ingest")
    lost = await world.folder("work", job, "0.dead")
    await world.pass_after(100_000)  # first seen unnamed, whatever its age
    await world.pass_after(599)
    assert await world.storage.exists(f"{lost}/{UNNAMED}")
    await world.pass_after(2)
    assert not await world.storage.exists(lost)


async def test_refs_keep_a_folder_until_the_job_drops_them(world: World) -> None:
    job = await world.submit()
    first = await world.take("ingest")
    folder = await world.folder("work", job, first.fence)
    await world.next(first, "fetch", (f"{folder}/source",))
    second = await world.take("fetch")
    for _ in range(3):
        await world.pass_after(700)
    assert await world.storage.exists(folder)
    await world.next(second, "transcode")
    await world.pass_after(1)
    await world.pass_after(601)
    assert not await world.storage.exists(folder)
    assert not await world.storage.exists(f"work/{job}")


async def test_a_folder_that_is_named_again_starts_anew(world: World) -> None:
    job = await world.submit()
    grant = await world.take("ingest")
    folder = await world.folder("work", job, "0.late")
    await world.pass_after(0)
    assert await world.storage.exists(f"{folder}/{UNNAMED}")
    await world.next(grant, "fetch", (folder,))
    await world.pass_after(599)
    assert not await world.storage.exists(f"{folder}/{UNNAMED}")
    second = await world.take("fetch")
    await world.next(second, "transcode")
    await world.pass_after(10)
    await world.pass_after(590)
    assert await world.storage.exists(folder)


async def test_the_result_stays_and_other_leases_of_store_go(world: World) -> None:
    job = await world.submit()
    grant = await world.take("ingest")
    lost = await world.publish(job, "0.fenced")
    kept = await world.publish(job, grant.fence)
    source = await world.folder("work", job, grant.fence)
    await world.done(grant, kept)
    await world.pass_after(1)
    await world.pass_after(601)
    assert await world.storage.exists(f"{kept}/output.mp3")
    assert not await world.storage.exists(lost)
    assert not await world.storage.exists(source)


async def test_a_result_that_a_power_failure_undid_goes(world: World) -> None:
    """A collector has seen the result; then its job goes on from what Redis kept, and ends otherwise."""
    job = await world.submit()
    grant = await world.take("ingest")
    undone = await world.publish(job, grant.fence)
    key = world.partitions.keys("00").job(job)
    world.now_s = time.time()
    kept = await world.client.dump(key)
    assert kept is not None
    await world.done(grant, undone)
    await world.pass_after(1)
    await world.client.restore(key, 0, kept, replace=True)
    await world.submitter.cancel(job, "ann")
    (end,) = await world.worker.release("00", [Release(job, grant.fence, b"{}")])
    assert end == "CANCELLED"
    await world.pass_after(1)
    await world.pass_after(601)
    assert not await world.storage.exists(undone)


async def test_a_settled_result_is_not_looked_at_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await world.submit()
    grant = await world.take("ingest")
    world.now_s = time.time()
    await world.done(grant, await world.publish(job, grant.fence))
    looks: list[str] = []

    async def look(client: Any, partitions: Partitions, name: str) -> Any:
        looks.append(name)
        return await read_job(client, partitions, name)

    monkeypatch.setattr("actors.reaper.collector.read_job", look)
    for seconds in (1, 601, 60, 60):
        await world.pass_after(seconds)
    assert looks == [job, job]


async def test_a_restart_forgets_nothing_and_two_collectors_agree(world: World) -> None:
    job = await world.submit()
    lost = await world.folder("work", job, "0.dead")
    await world.pass_after(0)
    world.now_s += 601
    world.collector = world.another_collector()
    other = world.another_collector()
    await world.collector.collect()
    await other.collect()
    assert not await world.storage.exists(lost)


async def test_retention_sweeps_all_but_the_published_result(world: World) -> None:
    job = await world.submit()
    grant = await world.take("ingest")
    kept = await world.publish(job, grant.fence)
    lost = await world.publish(job, "0.fenced")
    work = await world.folder("work", job, grant.fence)
    await world.done(grant, kept)
    await world.collector.sweep(job)
    assert await world.storage.exists(f"{kept}/manifest.json")
    assert not await world.storage.exists(lost)
    assert not await world.storage.exists(work)
    await world.collector.sweep("j00-unknown")
    await world.collector.sweep("not a job")


async def test_a_result_outlives_its_job_until_its_own_end(world: World) -> None:
    kept = await world.publish("j00-gone", "3.ab")
    await world.pass_after(0)
    await world.pass_after(9_999)
    assert await world.storage.exists(f"{kept}/output.mp3")
    await world.pass_after(2)
    assert not await world.storage.exists("out/j00-gone")


async def test_folders_of_another_installation_are_left_alone(world: World) -> None:
    foreign = await world.folder("work", "j77-foreign", "1.ab")
    stray = await world.folder("work", "something", "else")
    await world.pass_after(0)
    await world.pass_after(100_000)
    assert await world.storage.exists(foreign)
    assert await world.storage.exists(stray)


async def upload(world: World, life_s: float, name: str = UPLOAD) -> str:
    made = datetime.fromtimestamp(world.now_s, UTC)
    await world.storage.write_atomic(f"uploads/{name}/data", b"data")
    await write_upload(
        world.storage,
        UploadMeta(
            id=name,
            name="a",
            size_bytes=4,
            sha256="",
            created_at=made,
            expires_at=made + timedelta(seconds=life_s),
            tenant="default",
        ),
    )
    return f"uploads/{name}"


async def test_an_upload_goes_when_it_has_expired(world: World) -> None:
    folder = await upload(world, 3600)
    await world.pass_after(3599)
    assert await world.storage.exists(folder)
    await world.pass_after(2)
    assert not await world.storage.exists(folder)


async def test_a_live_job_keeps_its_upload_by_spec_or_refs(world: World) -> None:
    by_spec = await upload(world, 10)
    other = "u00-01jd0000000000000000000002"
    by_refs = await upload(world, 10, other)
    await world.submit(f"upload:{UPLOAD}")
    await world.take("ingest")
    await world.submit()
    second = await world.take("ingest")
    await world.next(second, "fetch", (by_refs,))
    await world.pass_after(1000)
    assert await world.storage.exists(by_spec)
    assert await world.storage.exists(by_refs)
    await world.done(await world.take("fetch"), "out/x/1.a")
    await world.pass_after(1)
    assert await world.storage.exists(by_spec)
    assert not await world.storage.exists(by_refs)


async def test_an_upload_that_was_never_finished_goes_after_its_life(world: World) -> None:
    await world.storage.write_atomic(f"uploads/{UPLOAD}/data", b"half")
    modified_s = world.storage.local_path(f"uploads/{UPLOAD}").stat().st_mtime
    world.now_s = modified_s
    await world.pass_after(3_000)
    assert await world.storage.exists(f"uploads/{UPLOAD}")
    await world.pass_after(700)
    assert not await world.storage.exists(f"uploads/{UPLOAD}")


async def test_damaged_records_stop_nothing(world: World, redis_client: redis.asyncio.Redis) -> None:
    job = await world.submit()
    await redis_client.hset(f"rw:{{p00}}:job:{job}", "spec", "not json")
    await world.storage.write_atomic("out/j00-gone/1.ab/manifest.json", b"not json")
    folder = await upload(world, 10)
    await world.pass_after(1000)
    await world.pass_after(601)
    assert not await world.storage.exists(folder)
    assert not await world.storage.exists("out/j00-gone")


async def test_one_job_that_cannot_be_read_does_not_keep_the_rest(world: World) -> None:
    unreadable, lost = await world.submit(), await world.submit()
    await world.client.hset(f"rw:{{p00}}:job:{unreadable}", "result", "not json")
    kept = await world.folder("work", unreadable, "0.dead")
    gone = await world.folder("work", lost, "0.dead")
    await world.pass_after(0)
    await world.pass_after(601)
    assert await world.storage.exists(kept)
    assert not await world.storage.exists(gone)


async def test_a_full_disk_is_collected_too(redis_client: redis.asyncio.Redis, small_disk: SmallDisk) -> None:
    """Not a byte can be written and not a name be made: neither the note of when, nor the trash, nor a name in it."""
    world = World(redis_client, LocalStorage(small_disk.path / "storage"))
    job = await world.submit()
    grant = await world.take("ingest")
    lost = [await world.folder("work", job, "0.dead"), await world.folder("out", job, "0.dead")]
    kept = await world.folder("work", job, grant.fence)
    small_disk.fill()
    small_disk.fill_names()
    await world.pass_after(0)
    await world.pass_after(599)
    assert [await world.storage.exists(folder) for folder in lost] == [True, True]
    await world.pass_after(2)
    assert [await world.storage.exists(folder) for folder in lost] == [False, False]
    assert await world.storage.exists(kept)


async def test_a_folder_that_cannot_be_deleted_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await world.submit()
    await world.take("ingest")
    first = await world.folder("work", "j00-0", "0.dead")
    second = await world.folder("work", job, "0.dead")
    await world.pass_after(0)
    delete = world.storage.delete

    async def refuse(key: str) -> None:
        if key == first:
            raise OSError(errno.EIO, "broken")
        await delete(key)

    monkeypatch.setattr(world.storage, "delete", refuse)
    await world.pass_after(601)
    assert await world.storage.exists(first)
    assert not await world.storage.exists(second)
