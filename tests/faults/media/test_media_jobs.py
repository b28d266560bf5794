"""Every sample as a job of the product: gateway and roles as processes, the native transcode, one real redis-server."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer
from tests.faults.media.client import MediaClient, MediaRequest, Unreached
from tests.faults.media.jobs import media_job
from tests.faults.media.programs import ffmpeg_for
from tests.faults.media.published import published
from tests.faults.media.samples import SAMPLES
from tests.faults.media.sources import REFUSALS, Sources
from tests.faults.plan import FfmpegKind, Media, Profile
from tests.kernel.topologies.servers import free_port

KEY = "rw_test_key_of_the_media_jobs"
ROLES = (("gateway", "reaper"), ("ingest", "fetch", "store", "notify"), ("transcode",), ("transcode",))
"""The sample `oom` costs one worker, which nobody restarts here."""

WITHIN_S = 80.0


@contextmanager
def _role(roles: tuple[str, ...], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gateway.command.main", "run", *roles, "--json"],
            env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            with process:
                pass


@contextmanager
def _product(redis_url: str, folder: Path, port: int, ffmpeg: Path) -> Iterator[list[subprocess.Popen[str]]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")} | {
        "REELWAY_REDIS_URL": redis_url,
        "REELWAY_PARTITIONS": "2",
        "REELWAY_DATA_DIR": str(folder / "data"),
        "REELWAY_STORAGE_URL": (folder / "storage").as_uri(),
        "REELWAY_MEDIA_FFMPEG": str(ffmpeg),
        "REELWAY_EGRESS_ALLOW": "127.0.0.0/8",
        "REELWAY_GATEWAY_PORT": str(port),
        "REELWAY_GATEWAY_KEY": KEY,
        "REELWAY_KERNEL_LEASE_S": "1.5",
        "REELWAY_KERNEL_BEAT_S": "0.3",
        "REELWAY_REAPER_INTERVAL_S": "0.2",
        "REELWAY_TRANSCODE_STALL_TIMEOUT_S": "3",
        "REELWAY_TRANSCODE_KILL_GRACE_S": "2",
    }
    with ExitStack() as stack:
        logs = [folder / f"{number}-{roles[0]}.log" for number, roles in enumerate(ROLES)]
        running = [stack.enter_context(_role(roles, environ, log)) for roles, log in zip(ROLES, logs, strict=True)]
        for roles, process in zip(ROLES, running, strict=True):
            if roles != ("transcode",):
                assert process.stdout is not None
                assert json.loads(process.stdout.readline()) == {"ready": list(roles)}
        yield running


def _jobs() -> list[Media]:
    """Every sample by address in its first format, and some uploaded in their last."""
    jobs = [Media(sample=name, format=sample.formats[0], ends=sample.ends) for name, sample in SAMPLES.items()]
    return jobs + [
        Media(sample=name, format=sample.formats[-1], how="upload", ends=sample.ends)
        for name, sample in SAMPLES.items()
        if sample.uploads and name.startswith(("tone", "clip", "text"))
    ]


async def _finish(client: MediaClient, job: str) -> dict[str, object]:
    while True:
        reply = await client.read(job, wait_s=10)
        assert reply.accepted, reply
        if reply.body["state"] in ("completed", "failed", "cancelled", "expired"):
            return reply.body


async def _do(client: MediaClient, sources: Sources, media: Media, key: str) -> str:
    """One job from its submission to its download; gives its id."""
    request = MediaRequest(media, key)
    first = await client.submit_media(request, sources)
    assert first.status == 202, first
    job: str = first.body["id"]
    again = await client.submit_media(request, sources)
    assert (again.status, again.body["id"]) == (202, job)
    ended = await _finish(client, job)
    assert ended["state"] in media.ends, (media, ended)
    outputs = (await client.outputs(job)).body["outputs"]
    downloads = [await client.download(output) for output in outputs]
    assert all(download.whole for download in downloads), downloads
    assert len(downloads) == (ended["state"] == "completed")
    for output in outputs:
        assert not (await client.download({**output, "sha256": "0" * 64})).whole
    return job


@pytest.mark.parametrize("kind", ["stand_in", "real"])
async def test_one_job_of_every_sample(tmp_path: Path, own_redis_server: RedisServer, kind: FfmpegKind) -> None:
    ffmpeg = await ffmpeg_for(Profile(name="test", jobs=1, chaos_s=1.0, ffmpeg=kind), tmp_path)
    assert ffmpeg is not None
    sources = Sources(tmp_path)
    await sources.start()
    port = free_port()
    client = MediaClient([f"http://127.0.0.1:{port}"], KEY)
    plans = _jobs()
    try:
        with _product(own_redis_server.url, tmp_path, port, ffmpeg) as processes:
            async with asyncio.timeout(WITHIN_S):
                jobs = await asyncio.gather(
                    *(_do(client, sources, media, f"k{number}") for number, media in enumerate(plans))
                )
                facts = [(await client.read(job)).body for job in jobs]
                events = [(await client.events(job)).body["events"] for job in jobs]
                asked = [sources.asked(media.sample, f"k{number}") for number, media in enumerate(plans)]
                failed = jobs[[media.ends for media in plans].index(("failed",))]
                assert (await client.cancel(failed)).cancel_status == "terminal"
                assert (await client.replay(jobs[0])).replay_status == "illegal"
                assert (await client.replay("j00-00000000000000000000000000")).replay_status == "gone"
                assert (await client.replay(failed)).replay_status == "ok"
                assert (await _finish(client, failed))["state"] == "failed"
            lost = [process.pid for process in processes if process.poll() is not None]
        with pytest.raises(Unreached):
            await client.read(jobs[0])
    finally:
        await client.close()
        await sources.stop()
    _check_storage(tmp_path / "storage", jobs, facts)
    _check_troubles(plans, events, asked, kind)
    assert len(lost) == (1 if kind == "stand_in" else 0)


def _check_storage(storage: Path, jobs: list[str], facts: list[dict[str, object]]) -> None:
    found = published(storage)
    assert set(found) == {job for job, fact in zip(jobs, facts, strict=True) if fact["state"] == "completed"}
    assert all(publication.whole for several in found.values() for publication in several)
    victim = found[jobs[0]][0]
    file = storage / victim.path / victim.files[0].file
    file.write_bytes(file.read_bytes()[:-1])
    assert not published(storage)[jobs[0]][0].whole
    file.unlink()
    assert not published(storage)[jobs[0]][0].whole


def _check_troubles(plans: list[Media], events: list[list[dict[str, Any]]], asked: list[int], kind: FfmpegKind) -> None:
    """Each source made the trouble that it is for."""
    codes = {
        (media.sample, media.how): [
            (event["data"].get("error") or event["data"].get("reason") or {}).get("code")
            for event in happened
            if event["type"] in ("job.retrying", "job.failed")
        ]
        for media, happened in zip(plans, events, strict=True)
    }
    expected = {"refused.mp3": ["NET_TEMP"], "cut.mp4": ["SOURCE_TRUNCATED"], "text.mp4": ["NOT_MEDIA"]}
    if kind == "stand_in":
        expected |= {"stuck.wav": ["STALLED"], "oom.wav": ["WORKER_LOST"]}
    assert codes == {(media.sample, media.how): expected.get(media.sample, []) for media in plans}
    times = {"refused.mp3": REFUSALS + 1, "broken.mp4": 2}
    assert asked == [times.get(media.sample, 1) if media.how == "address" else 0 for media in plans]


def test_a_plan_is_drawn_from_its_seed() -> None:
    def draw(seed: int) -> list[Media]:
        chance = random.Random(seed)
        return [media_job(chance) for _ in range(300)]

    assert draw(1) == draw(1) != draw(2)
    assert {media.sample for media in draw(1)} == set(SAMPLES)
    assert all(media.how == "address" or SAMPLES[media.sample].uploads for media in draw(1))
