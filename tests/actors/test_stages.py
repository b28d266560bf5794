"""ingest, store and notify without Redis."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from actors.egress import EgressPolicy
from actors.ingest import Ingest
from actors.kernel import Next
from actors.media.errors import MediaError
from actors.media.spans import UPLOAD_SPANS, URL_SPANS
from actors.media.task import (
    Codecs,
    CompletedEvent,
    FetchInput,
    JobSpec,
    Manifest,
    Output,
    Result,
    StoreInput,
    decode,
    encode,
)
from actors.notify import Notify
from actors.storage.local import LocalStorage
from actors.store import Store
from tests.actors.tasks import FENCE, JOB, make_task
from tests.actors.test_fetch_handler import UPLOAD, upload

ADDRESS = "https://example.com/clip.mp4"


async def ingest(storage: LocalStorage, spec: JobSpec, allow: tuple[str, ...] = ()) -> Next:
    task, reports = make_task("ingest", spec)
    result = await Ingest(storage, EgressPolicy(allow)).handle(task)
    assert isinstance(result, Next)
    assert reports.percents == [2.0]
    return result


async def code_of(storage: LocalStorage, spec: JobSpec) -> str:
    with pytest.raises(MediaError) as caught:
        await ingest(storage, spec)
    return caught.value.code


async def test_ingest_hands_an_address_to_fetch(storage: LocalStorage) -> None:
    result = await ingest(storage, JobSpec(source=ADDRESS, format="mp3"))
    assert (result.stage, result.refs) == ("fetch", ())
    assert decode(FetchInput, result.input) == FetchInput(source=ADDRESS, spans=URL_SPANS)


async def test_ingest_keeps_an_upload_for_the_job(storage: LocalStorage) -> None:
    await upload(storage, b"data")
    result = await ingest(storage, JobSpec(source=f"upload:{UPLOAD}", format="mp3"))
    assert result.refs == (f"uploads/{UPLOAD}",)
    assert decode(FetchInput, result.input).spans == UPLOAD_SPANS


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (JobSpec(source="file:///etc/passwd", format="mp3"), "INVALID_SOURCE"),
        (JobSpec(source=ADDRESS, format="mp5"), "FORMAT_UNKNOWN"),
        (JobSpec(source=ADDRESS, format="flac", quality="192k"), "QUALITY_INVALID"),
        (JobSpec(source=f"upload:{UPLOAD}", format="mp3"), "UPLOAD_NOT_FOUND"),
        (JobSpec(source="upload:../../etc/passwd", format="mp3"), "UPLOAD_NOT_FOUND"),
        (JobSpec(source="http://127.0.0.1/x", format="mp3"), "ADDRESS_REFUSED"),
        (JobSpec(source="http://2130706433/x", format="mp3"), "ADDRESS_REFUSED"),
        (JobSpec(source="http://[::ffff:10.0.0.1]/x", format="mp3"), "ADDRESS_REFUSED"),
        (JobSpec(source="http://localhost:8080/x", format="mp3"), "ADDRESS_REFUSED"),
    ],
)
async def test_ingest_refuses_what_cannot_work(storage: LocalStorage, spec: JobSpec, code: str) -> None:
    assert await code_of(storage, spec) == code


async def test_ingest_allows_what_the_operator_allows(storage: LocalStorage) -> None:
    result = await ingest(storage, JobSpec(source="http://127.0.0.1/x", format="mp3"), allow=("127.0.0.0/8",))
    assert result.stage == "fetch"


async def test_an_upload_of_another_tenant_does_not_exist(storage: LocalStorage) -> None:
    await upload(storage, b"data", tenant="other")
    assert await code_of(storage, JobSpec(source=f"upload:{UPLOAD}", format="mp3")) == "UPLOAD_NOT_FOUND"


async def test_a_spec_of_another_version_is_unreadable(storage: LocalStorage) -> None:
    task, _ = make_task("store", JobSpec(source=ADDRESS, format="mp3"), b'{"outputs": 7}')
    with pytest.raises(MediaError) as caught:
        await Store(storage).handle(task)
    assert caught.value.code == "UNREADABLE"


async def store_input(storage: LocalStorage, data: bytes = b"music") -> bytes:
    key = f"work/{JOB}/1.aa/output.mp3"
    await storage.write_atomic(key, data)
    output = Output(
        path=key,
        name="output.mp3",
        type="audio/mpeg",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        duration_s=8.0,
        codecs=Codecs(audio="mp3"),
    )
    return encode(StoreInput(outputs=(output,), source_name="My clip.mp4", spans=URL_SPANS))


async def test_store_publishes_with_the_manifest_last(storage: LocalStorage) -> None:
    spec = JobSpec(source=ADDRESS, format="mp3")
    task, reports = make_task("store", spec, await store_input(storage))
    done = await Store(storage).handle(task)
    result = decode(Result, done.result)
    assert result.path == f"out/{JOB}/{FENCE}"
    (output,) = result.outputs
    assert (output.name, output.file, output.type) == ("My clip.mp3", "output.mp3", "audio/mpeg")
    assert await storage.read(f"{result.path}/{output.file}") == b"music"
    manifest = decode(Manifest, await storage.read(f"{result.path}/manifest.json"))
    assert (manifest.job, manifest.tenant, manifest.spec, manifest.outputs) == (JOB, "default", spec, result.outputs)
    event = json.loads(done.event)
    assert decode(CompletedEvent, done.event).outputs[0].name == "My clip.mp3"
    assert set(event["outputs"][0]) == {
        "name", "type", "size_bytes", "sha256", "duration_s", "codecs", "width", "height",
    }  # fmt: skip
    assert await storage.exists(f"work/{JOB}/1.aa/output.mp3")
    assert reports.percents == sorted(reports.percents)


async def test_the_client_names_the_result(storage: LocalStorage) -> None:
    spec = JobSpec(source=ADDRESS, format="mp3", name="../../Größe")
    task, _ = make_task("store", spec, await store_input(storage))
    result = decode(Result, (await Store(storage).handle(task)).result)
    assert result.outputs[0].name == "_.._Größe.mp3"
    assert result.outputs[0].file == "output.mp3"


@pytest.mark.parametrize("damage", [b"musik", b"music!", b""])
async def test_store_publishes_nothing_that_is_not_what_was_verified(storage: LocalStorage, damage: bytes) -> None:
    body = await store_input(storage)
    storage.local_path(f"work/{JOB}/1.aa/output.mp3").write_bytes(damage)
    task, _ = make_task("store", JobSpec(source=ADDRESS, format="mp3"), body)
    with pytest.raises(MediaError) as caught:
        await Store(storage).handle(task)
    assert caught.value.code == "OUTPUT_INVALID"
    assert not await storage.exists(f"out/{JOB}")


async def test_store_writes_no_manifest_before_every_file_is_there(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_or_copy = LocalStorage.link_or_copy
    published: list[bool] = []

    async def look_and_link(self: LocalStorage, source: str, target: str, *others: Any) -> None:
        published.append(await self.exists(f"out/{JOB}/{FENCE}/manifest.json"))
        await link_or_copy(self, source, target, *others)
        published.append(await self.exists(f"out/{JOB}/{FENCE}/manifest.json"))

    monkeypatch.setattr(LocalStorage, "link_or_copy", look_and_link)
    task, _ = make_task("store", JobSpec(source=ADDRESS, format="mp3"), await store_input(storage))
    await Store(storage).handle(task)
    assert published == [False, False]
    assert await storage.exists(f"out/{JOB}/{FENCE}/manifest.json")


async def test_two_leases_of_store_never_write_the_same_path(storage: LocalStorage) -> None:
    body = await store_input(storage)
    spec = JobSpec(source=ADDRESS, format="mp3")
    paths = set()
    for fence in ("3.aa", "4.bb"):
        task, _ = make_task("store", spec, body, fence=fence)
        paths.add(decode(Result, (await Store(storage).handle(task)).result).path)
    assert paths == {f"out/{JOB}/3.aa", f"out/{JOB}/4.bb"}


EVENT = b'{"id":"1.2-3","type":"job.completed","job":"j00-x","rev":9,"at":"2026-11-20T00:00:00.000Z","data":{}}'


def delivery(endpoint: str = "log") -> bytes:
    return b'{"endpoint":"' + endpoint.encode() + b'","url":"file:///x","event":' + EVENT + b"}"


async def test_notify_appends_one_line_a_delivery_with_the_event_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "made" / "notify.log"
    notify = Notify(path)
    spec = JobSpec(source="", format="")
    for _ in range(2):
        task, _ = make_task("notify", spec, delivery(), kind="delivery")
        await notify.handle(task)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1] == b'{"delivery":"' + JOB.encode() + b'","event":' + EVENT + b"}"


async def test_notify_knows_only_the_endpoint_log(tmp_path: Path) -> None:
    task, _ = make_task("notify", JobSpec(source="", format=""), delivery("other"), kind="delivery")
    for notify in (Notify(tmp_path / "x"), Notify(None)):
        with pytest.raises(MediaError) as caught:
            await notify.handle(task)
        assert caught.value.code == "ENDPOINT_UNKNOWN"


async def test_a_log_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    task, _ = make_task("notify", JobSpec(source="", format=""), delivery(), kind="delivery")
    with pytest.raises(MediaError) as caught:
        await Notify(tmp_path).handle(task)
    assert caught.value.code == "DELIVERY_FAILED"
