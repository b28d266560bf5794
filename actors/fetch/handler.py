"""The stage fetch: source, probe, plan."""

import asyncio
import contextlib
import os
from pathlib import Path

from actors.egress import EgressPolicy
from actors.fetch.meter import Meter
from actors.fetch.platforms import limit_name
from actors.kernel import Next, Task
from actors.kernel.limits import Limits
from actors.media.errors import MediaError
from actors.media.formats import Format, Quality, find_format, parse_quality
from actors.media.plan import check_limits, make_plan
from actors.media.reading import read_body, read_spec
from actors.media.spans import overall
from actors.media.task import FetchInput, Plan, Probe, Progress, SourceObject, TranscodeInput, encode, upload_id
from actors.probe import probe
from actors.settings import EgressSettings, FetchSettings, MediaSettings
from actors.storage import Storage
from actors.storage.keys import work_folder
from actors.storage.room import Room

MOST_BODY_BYTES = 60_000
"""Larger inputs of the next stage lose the streams that are not used; the kernel takes 64 KiB."""

_DOWNLOAD_SHARE = 0.95
_TICK_S = 1.0


class Fetch:
    """The handler. Everything it writes lies in the folder of its fence, which it empties when it fails."""

    stage = "fetch"

    def __init__(
        self,
        storage: Storage,
        fetch: FetchSettings,
        media: MediaSettings,
        egress: EgressSettings,
        limits: Limits | None = None,
        min_free_bytes: int = 0,
    ) -> None:
        self._limits = limits
        """How many sources are read at once from a site, over all workers; None: any number."""
        self._storage = storage
        self._room = Room(min_free_bytes)
        self._fetch = fetch
        self._media = media
        self._allow = egress.allow
        self._policy = EgressPolicy(egress.allow)

    async def handle(self, task: Task) -> Next:
        spec = read_spec(task.spec)
        given = read_body(FetchInput, task.input)
        target = find_format(spec.format)
        quality = parse_quality(target, spec.quality)
        folder = work_folder(task.job, task.fence)
        try:
            await self._storage.make_folder(folder)
            source = await self._bring(task, given, folder, target, quality)
            found = await self._probe(task, given, source)
            check_limits(found, max_duration_s=self._media.max_duration_s, max_pixels=self._media.max_pixels)
            plan = make_plan(found, target, quality)
            task.report(overall(given.spans, self.stage, 1.0), encode(Progress(stage=self.stage)))
            return Next("transcode", _next_input(source, found, plan, given), (source.path,))
        except BaseException:
            await asyncio.shield(self._storage.delete(folder))
            raise

    async def _bring(
        self, task: Task, given: FetchInput, folder: str, target: Format, quality: Quality
    ) -> SourceObject:
        meter = Meter(task, given.spans, _DOWNLOAD_SHARE)
        upload = upload_id(given.source)
        if upload is not None:
            from actors.fetch.upload import bring_upload

            return await bring_upload(
                self._storage, upload, task.tenant, f"{folder}/source", meter.update, self._room.check_now
            )
        await self._room.check(self._storage.local_path(folder))
        limit = None if self._limits is None else limit_name(given.source, self._limits.names)
        if self._limits is None or limit is None:
            return await self._bring_address(given.source, folder, target, quality, meter)
        async with self._limits.place(limit, f"{task.job} {task.fence}"):
            return await self._bring_address(given.source, folder, target, quality, meter)

    async def _bring_address(
        self, address: str, folder: str, target: Format, quality: Quality, meter: Meter
    ) -> SourceObject:
        from actors.fetch.connection import Guard, open_client
        from actors.fetch.direct import NotAFile, download
        from actors.fetch.messages import Assembled, Moving, Request
        from actors.fetch.page import extract

        key = f"{folder}/source"
        path = self._storage.local_path(key)
        guard = Guard(self._policy)
        timeouts = {"connect_timeout_s": self._fetch.connect_timeout_s, "read_timeout_s": self._fetch.read_timeout_s}
        most = self._media.max_source_bytes

        async def before_body(size_bytes: int) -> None:
            await self._room.check(path, size_bytes)

        async with open_client(guard, **timeouts) as client:
            got = await download(
                client, guard, address, path, max_bytes=most, on_bytes=meter.update, before_body=before_body
            )
            if not isinstance(got, NotAFile):
                return SourceObject(path=key, name=got.name, size_bytes=got.size_bytes, sha256=got.sha256)
            request = Request(
                address=address,
                folder=str(await self._storage.make_folder(f"{folder}/page")),
                audio_only=target.video is None,
                shortest_side=quality.shortest_side,
                codecs=tuple(sorted(target.audio.codecs | (target.video.codecs if target.video else frozenset()))),
                allow=self._allow,
                max_bytes=most,
                timeout_s=self._fetch.read_timeout_s,
                parent=os.getpid(),
            )

            def on_moving(moving: Moving) -> None:
                meter.update(moving.done, moving.total, fraction=moving.fraction)

            page = await extract(request, on_moving)
            if not isinstance(page, Assembled):
                got = await download(
                    client, guard, page.address, path, max_bytes=most, on_bytes=meter.update,
                    before_body=before_body, headers=page.headers,
                )  # fmt: skip
                if isinstance(got, NotAFile):
                    raise MediaError("URL_UNSUPPORTED", f"the page's media is a {got.content}")
                return SourceObject(path=key, name=page.name, size_bytes=got.size_bytes, sha256=got.sha256)
        await asyncio.to_thread(_settle, Path(page.path), path)
        digest = await self._storage.digest(key)
        return SourceObject(path=key, name=page.name, size_bytes=digest.size_bytes, sha256=digest.sha256)

    async def _probe(self, task: Task, given: FetchInput, source: SourceObject) -> Probe:
        """Probing reads the whole file, so the task says that it moves; `probe` bounds the time."""
        probing = asyncio.create_task(probe(self._storage.local_path(source.path), self._media))
        try:
            while not probing.done():
                await asyncio.wait({probing}, timeout=_TICK_S)
                task.report(overall(given.spans, self.stage, _DOWNLOAD_SHARE), encode(Progress(stage=self.stage)))
            return probing.result()
        finally:
            probing.cancel()
            with contextlib.suppress(BaseException):
                await probing


def _next_input(source: SourceObject, found: Probe, plan: Plan, given: FetchInput) -> bytes:
    body = encode(TranscodeInput(source=source, probe=found, plan=plan, spans=given.spans))
    if len(body) <= MOST_BODY_BYTES:
        return body
    used = {part.stream for part in (plan.video, plan.audio) if part is not None}
    few = Probe(
        container=found.container,
        duration_s=found.duration_s,
        size_bytes=found.size_bytes,
        streams=tuple(stream for stream in found.streams if stream.index in used),
    )
    return encode(TranscodeInput(source=source, probe=few, plan=plan, spans=given.spans))


def _settle(page: Path, path: Path) -> None:
    """Give the assembled file its place, durable."""
    page.replace(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
