"""Files: whole or not at all, across lost connections, in both directions."""

import asyncio
import hashlib
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from actors.media.task import Codecs, Result, StoredOutput
from gateway.client import Client, Job, Output, OutputDamaged, ProblemError, SourceChanged, Unreachable, uploading
from gateway.http.service import GatewayService
from tests.client.conftest import MakeClient
from tests.client.wire import Plan, Wire
from tests.command.breaking_server import Request, breaking_server
from tests.gateway.conftest import KEY
from tests.gateway.scripted_worker import STAGES, ScriptedWorker

DATA = random.Random(5).randbytes(3_000_000)
OUTPUT = Output("out.mp3", len(DATA), hashlib.sha256(DATA).hexdigest(), "/v1/jobs/j00-1/outputs/out.mp3")
UPLOAD = {"id": "u00-1", "name": "x", "size_bytes": 1, "sha256": "", "expires_at": ""}


async def publish(gateway: GatewayService, worker: ScriptedWorker, client: Client, data: bytes = DATA) -> Job:
    """A completed job whose one output is `data`."""
    job = await worker.submit()
    for stage, following in pairwise(STAGES):
        await worker.next(await worker.take(stage, job), following)
    grant = await worker.take("store", job)
    folder = f"out/{job}/{grant.fence}"
    path = gateway.context.storage.local_path(f"{folder}/output.mp3")
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    output = StoredOutput(
        name="Füße ?.mp3", type="audio/mpeg", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
        codecs=Codecs(audio="mp3"), file="output.mp3",
    )  # fmt: skip
    await worker.done(grant, Result(path=folder, outputs=(output,)))
    return await client.job(job)


async def test_a_download_goes_on_where_it_was_cut(
    gateway: GatewayService, worker: ScriptedWorker, wire: Wire, wired: Client, tmp_path: Path
) -> None:
    (output,) = (await publish(gateway, worker, wired)).outputs
    wire.cut()
    before = wire.connections
    wire.plans = [Plan(cut_after_bytes=count) for count in (300, 1_000_000, 0, 0, 700_000)]
    moved: list[int] = []
    await wired.download(output, tmp_path / "got.mp3", moved.append)
    assert (tmp_path / "got.mp3").read_bytes() == DATA
    assert moved == sorted(moved)
    assert moved[-1] == len(DATA)
    assert wire.connections - before == 6
    assert wire.sent.count(b"\r\nRange: bytes=") >= 2
    assert len(wire.received) < len(DATA) * 1.1, "nothing is fetched twice"
    assert [path.name for path in tmp_path.iterdir() if "got" in path.name] == ["got.mp3"]


async def test_a_download_goes_on_in_another_process(
    gateway: GatewayService, worker: ScriptedWorker, wire: Wire, wired: Client, client: Client, tmp_path: Path
) -> None:
    (output,) = (await publish(gateway, worker, client)).outputs
    wire.plans = [Plan(dead_after_bytes=2_000_000)]
    moved: list[int] = []
    fetching = asyncio.create_task(wired.download(output, tmp_path / "got.mp3", moved.append))
    async with asyncio.timeout(10):
        while not moved or moved[-1] < 1_000_000:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    fetching.cancel()
    await asyncio.wait((fetching,))
    assert not (tmp_path / "got.mp3").exists(), "what is not whole has not its name"
    wire.received = b""
    wire.sent = b""
    await wired.download(output, tmp_path / "got.mp3")
    assert (tmp_path / "got.mp3").read_bytes() == DATA
    assert b"If-Range: " in wire.sent
    assert len(wire.received) < 2_100_000


async def test_a_file_that_has_changed_is_never_half_of_each(make_client: MakeClient, tmp_path: Path) -> None:
    """It is another version after the cut: all of it is fetched, and it is not what the job says."""
    other = DATA[:-1] + b"x"
    asked: list[tuple[str | None, str | None]] = []

    def answer(request: Request) -> None:
        asked.append((request.headers["Range"], request.headers["If-Range"]))
        if len(asked) == 1:
            request.reply(200, DATA[:500_000], length=len(DATA), ETag='"one"')
        else:
            request.reply(200, other, ETag='"two"')

    with breaking_server(answer) as url, pytest.raises(OutputDamaged):
        await make_client(url).download(OUTPUT, tmp_path / "got.mp3")
    assert asked == [(None, None), ("bytes=500000-", '"one"'), (None, None)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [200, 206])
async def test_a_server_without_ranges(make_client: MakeClient, tmp_path: Path, status: int) -> None:
    """A part from an earlier time, of something else, does not get into the result."""
    (tmp_path / "part").write_bytes(b"something else")
    whole = f"bytes 0-{len(DATA) - 1}/{len(DATA)}"
    with breaking_server(lambda request: request.reply(status, DATA, Content_Range=whole)) as url:
        await make_client(url).gather(OUTPUT, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


async def test_a_longer_file_is_not_read_to_its_end(make_client: MakeClient, tmp_path: Path) -> None:
    with breaking_server(lambda request: request.reply(200, DATA * 4)) as url, pytest.raises(OutputDamaged):
        await make_client(url).download(OUTPUT, tmp_path / "got.mp3")
    assert list(tmp_path.iterdir()) == []


async def test_another_host_gets_no_key(make_client: MakeClient, tmp_path: Path) -> None:
    """A download may be redirected to where the file lies; the key stays with the gateway."""
    keys: list[tuple[str, str | None]] = []

    def elsewhere(request: Request) -> None:
        keys.append((request.path, request.headers["Authorization"]))
        request.reply(200, DATA)

    with breaking_server(elsewhere) as other:

        def answer(request: Request) -> None:
            keys.append((request.path, request.headers["Authorization"]))
            request.reply(302, b"", Location=f"{other}/bucket/key?signature=1")

        with breaking_server(answer) as url:
            await make_client(url).download(OUTPUT, tmp_path / "got.mp3")
    assert keys == [(OUTPUT.url, f"Bearer {KEY}"), ("/bucket/key?signature=1", None)]


async def test_what_cannot_be_written_is_said(
    gateway: GatewayService, worker: ScriptedWorker, client: Client, tmp_path: Path
) -> None:
    (output,) = (await publish(gateway, worker, client)).outputs
    with pytest.raises(FileNotFoundError):
        await client.download(output, tmp_path / "missing" / "got.mp3")
    with pytest.raises(OSError, match="No space left"):
        await client.gather(output, Path("/dev/full"))
    gone = output.url.replace("mp3", "mp4")
    with pytest.raises(ProblemError, match="OUTPUT_NOT_FOUND"):
        await client.download(Output("a", 1, "0", gone), tmp_path / "got.mp3")


@pytest.mark.parametrize("kind", ["file", "bytes"])
async def test_an_upload_outlives_its_connections(
    wire: Wire, wired: Client, tmp_path: Path, kind: str, gateway: GatewayService
) -> None:
    file = tmp_path / "Füße.mp4"
    file.write_bytes(DATA)
    wire.plans = [Plan(cut_after_bytes=0), Plan(cut_after_bytes=100)]
    moved: list[int] = []
    sent = await (wired.upload(file, moved=moved.append) if kind == "file" else wired.upload(DATA, "Füße.mp4"))
    assert (sent.size_bytes, sent.sha256, sent.name) == (len(DATA), hashlib.sha256(DATA).hexdigest(), "Füße.mp4")
    assert moved[-1:] == ([len(DATA)] if kind == "file" else [])
    assert wire.connections == 3
    assert (await wired.submit(sent.source, "mp3")).source == f"upload:{sent.id}"


async def test_an_upload_that_is_refused_while_it_is_sent(make_client: MakeClient) -> None:
    body = json.dumps({"code": "UPLOAD_TOO_LARGE", "detail": "too large"}).encode()
    moved: list[int] = []
    with (
        breaking_server(lambda request: request.reply(413, body)) as url,
        pytest.raises(ProblemError, match="UPLOAD_TOO_LARGE"),
    ):
        await make_client(url).upload(bytes(64 << 20), moved=moved.append)
    assert max(moved, default=0) < 64 << 20


async def test_an_upload_that_nobody_takes(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "SILENCE_S", 0.3)

    async def deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(20)

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unreachable, match="took nothing"):
        await asyncio.wait_for(make_client(f"http://127.0.0.1:{port}", patience_s=0.1).upload(bytes(64 << 20)), 10)
    server.close()


async def test_a_file_that_becomes_shorter(make_client: MakeClient, gateway: GatewayService, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(bytes(50_000_000))

    def shorten(done: int) -> None:
        if done > 10_000_000:
            with file.open("r+b") as open_file:
                open_file.truncate(20_000_000)

    with pytest.raises(SourceChanged):
        await make_client(gateway.url).upload(file, moved=shorten)
    with pytest.raises(FileNotFoundError):
        await make_client(gateway.url).upload(tmp_path / "missing.mp4")
