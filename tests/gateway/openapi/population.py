"""Jobs of every kind and a published file, for requests that need something to be there."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from actors.kernel import Child, Commit, Partitions, RedisOptions, Release, Spawn, connect
from actors.media.task import Codecs, JobSpec, Manifest, Result, StoredOutput, encode
from tests.gateway.scripted_worker import STAGES, ScriptedWorker

FILE = b"0123456789"
FILE_NAME = "talk.mp3"
DEAD = 3


async def populate(redis_url: str, storage: Path) -> Mapping[str, list[str]]:
    """Makes them in partition 00; answers their ids by what became of them."""
    client = connect(RedisOptions(url=redis_url))
    try:
        worker = ScriptedWorker(client, Partitions(1))
        made = {
            "completed": [await completed(worker, storage)],
            "dead": [await dead(worker) for _ in range(DEAD)],
            "retrying": [await retrying(worker)],
            "waiting": [await waiting(worker)],
            "released": [await released(worker)],
            "cancelled": [await worker.submit()],
            "running": [await worker.submit()],
        }
        await worker.submitter.cancel(made["cancelled"][0], "test")
        grant = await worker.take("ingest", made["running"][0])
        await worker.beat(grant, 12.5, eta_s=3.0, speed=1.5, bytes_done=10, bytes_total=20)
        made["queued"] = [await worker.submit()]
        return made
    finally:
        await client.aclose()


async def completed(worker: ScriptedWorker, storage: Path) -> str:
    job = await worker.submit()
    for place, stage in enumerate(STAGES[:-1]):
        await worker.next(await worker.take(stage, job), STAGES[place + 1])
    grant = await worker.take(STAGES[-1], job)
    key = f"out/{job}/{grant.fence}"
    (storage / key).mkdir(parents=True)
    (storage / key / "output.mp3").write_bytes(FILE)
    output = StoredOutput(
        name=FILE_NAME, type="audio/mpeg", size_bytes=len(FILE), sha256=hashlib.sha256(FILE).hexdigest(),
        duration_s=8.0, codecs=Codecs(audio="mp3"), file="output.mp3",
    )  # fmt: skip
    spec = JobSpec(source="https://media.example/talk.mp4", format="mp3")
    manifest = Manifest(job=job, tenant="default", spec=spec, outputs=(output,), created_at=datetime.now(UTC))
    (storage / key / "manifest.json").write_bytes(encode(manifest))
    await worker.done(grant, Result(path=key, outputs=(output,)))
    return job


async def dead(worker: ScriptedWorker) -> str:
    job = await worker.submit()
    await worker.fail(await worker.take("ingest", job))
    return job


async def retrying(worker: ScriptedWorker) -> str:
    job = await worker.submit()
    await worker.fail(await worker.take("ingest", job), permanent=False, delay_ms=3_600_000)
    return job


async def waiting(worker: ScriptedWorker) -> str:
    job = await worker.submit()
    grant = await worker.take("ingest", job)
    spec = encode(JobSpec(source="https://media.example/part.mp4", format="mp3"))
    child = Child(number=1, stage="fetch", spec=spec, input=b"{}", listed=True)
    await worker.worker.spawn("00", Spawn(job, grant.fence, (child,)))
    await worker.worker.commit("00", [Commit(job, grant.fence, "split", "store", "cpu", b"{}")])
    return job


async def released(worker: ScriptedWorker) -> str:
    job = await worker.submit()
    grant = await worker.take("ingest", job)
    reason = b'{"code":"RESTARTED","message":"The worker was restarted."}'
    await worker.worker.release("00", [Release(job, grant.fence, reason)])
    # Off the inbox again, so that what comes later can take its own.
    await worker.take("ingest", job)
    return job
