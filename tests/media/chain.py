"""All stages in processes of their own, and sources that go through them as uploads."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import redis
import redis.asyncio
from ulid import ULID

from actors.kernel import JobView, KernelOptions, Partitions, Submission, Submitter, read_job
from actors.media.task import JobSpec, Result, decode, encode
from actors.native import require_native
from actors.storage.keys import upload_data
from actors.storage.local import LocalStorage
from actors.storage.uploads import UploadMeta, write_upload

ACTORS = """
from actors import run
from actors.logging import configure
from actors.settings import load
settings = load()
configure(settings.logging, "actors")
services = run.build_services(["ingest", "fetch", "store", "notify", "reaper"], settings)
run.run(run.serve(services, settings))
"""
TRANSCODE = """
from actors.settings import load
from actors.transcode import run_transcode
run_transcode(load())
"""


class Chain:
    """One installation with every stage."""

    def __init__(self, redis_url: str, folder: Path, ffmpeg: Path) -> None:
        self.redis_url = redis_url
        self.folder = folder
        self.ffmpeg = ffmpeg
        self.storage = LocalStorage(folder / "storage")
        self.partitions = Partitions(1)
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")},
            "REELWAY_REDIS_URL": redis_url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(folder),
            "REELWAY_FFMPEG": str(ffmpeg),
            "REELWAY_TRANSCODE_CONCURRENCY": "2",
        }
        self.log = folder / "chain.log"
        with self.log.open("ab") as log:
            self.processes = [
                subprocess.Popen([sys.executable, "-c", program], env=environ, stderr=log)
                for program in (ACTORS, TRANSCODE)
            ]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def convert(self, source: Path, target: str, quality: str | None = None) -> tuple[JobView, Path | None]:
        """The job at its end, and the published file if it completed."""
        return asyncio.run(self._convert(source, target, quality))

    def probe(self, path: Path) -> dict[str, object]:
        """What the native program says about a file."""
        environ = {"REELWAY_FFMPEG": str(self.ffmpeg), "PATH": os.defpath}
        done = subprocess.run([require_native(), "probe", str(path)], env=environ, capture_output=True, timeout=60)
        found: dict[str, object] = json.loads(done.stdout)
        assert done.returncode == 0, found
        return found

    def sound_s(self, path: Path) -> float:
        """Seconds of sound that ffmpeg decodes, counted in samples."""
        arguments = ["-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "s16le", "-"]
        done = subprocess.run([str(self.ffmpeg), "-nostdin", *arguments], capture_output=True, timeout=60, check=True)
        assert done.stderr == b""
        return len(done.stdout) / 2 / 48_000

    def frames(self, path: Path) -> int:
        """Pictures that ffmpeg decodes."""
        arguments = [
            "-v",
            "error",
            "-i",
            str(path),
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "framehash",
            "-",
        ]
        done = subprocess.run([str(self.ffmpeg), "-nostdin", *arguments], capture_output=True, timeout=60, check=True)
        assert done.stderr == b""
        return sum(1 for line in done.stdout.splitlines() if not line.startswith(b"#"))

    async def _convert(self, source: Path, target: str, quality: str | None) -> tuple[JobView, Path | None]:
        client = redis.asyncio.Redis.from_url(self.redis_url)
        try:
            upload = await self._upload(source)
            spec = encode(JobSpec(source=f"upload:{upload}", format=target, quality=quality))
            submitter = Submitter(client, self.partitions, KernelOptions())
            submission = Submission(tenant="default", stage="ingest", spec=spec, input=b"{}")
            job = (await submitter.submit(submission)).job
            gives_up_at = monotonic() + 60.0
            while True:
                view = await read_job(client, self.partitions, job)
                if view is not None and view.terminal:
                    break
                assert monotonic() < gives_up_at, f"{view}\n{self.log.read_text()[-3000:]}"
                await asyncio.sleep(0.02)
            if view.result is None:
                return view, None
            result = decode(Result, view.result)
            return view, self.storage.local_path(f"{result.path}/{result.outputs[0].file}")
        finally:
            await client.aclose()

    async def _upload(self, source: Path) -> str:
        upload = f"u00-{str(ULID()).lower()}"
        data = source.read_bytes()
        path = self.storage.local_path(upload_data(upload))
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        now = datetime.now(UTC)
        await write_upload(
            self.storage,
            UploadMeta(
                id=upload,
                name=source.name,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                created_at=now,
                expires_at=now + timedelta(days=1),
                tenant="default",
            ),
        )
        return upload
