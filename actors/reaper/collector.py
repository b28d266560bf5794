"""The only one that deletes files of jobs, once no job needs them.

A folder `work/<job>/<fence>` or `out/<job>/<fence>` goes when for `collect_after_s` neither the
job's result, nor its refs, nor its current fence named it. When a folder was first seen unnamed is
kept in the folder itself, so that any number of collectors agree and a restart forgets nothing.
On a full disk, where nothing can be written, this process remembers it: what frees space must not
need any.
"""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from actors.kernel import JobView, Partitions, UnknownJobId, read_job
from actors.media.task import Manifest, Result, decode
from actors.reaper.uploads import UploadCollector
from actors.settings import StorageSettings
from actors.storage import Storage
from actors.storage.keys import MANIFEST, OUT, WORK
from actors.storage.room import NO_SPACE

UNNAMED = "unnamed-since"
LONGEST_INTERVAL_S = 60.0
COLLECTED = Counter("reelway_collected_total", "Folders deleted because no job needs them.", ["area"])
log = structlog.get_logger("collector")


class Collector:
    """Walks the areas of jobs. `clock` gives seconds since the epoch, as file times are."""

    def __init__(
        self,
        client: Redis,
        partitions: Partitions,
        storage: Storage,
        settings: StorageSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._uploads = UploadCollector(client, partitions, storage, settings, clock)
        self._settled: dict[str, float] = {}
        """Published folders that nothing can change any more, and when they were published."""
        self._unnamed: dict[str, float] = {}
        """When a folder was first seen unnamed, where that could not be written down."""
        self.interval_s = min(settings.collect_after_s / 5, LONGEST_INTERVAL_S)

    async def collect(self) -> None:
        """One walk over all areas. Deleting again what is gone already is harmless."""
        # What has been remembered for longer was deleted by somebody else.
        oldest_s = self._clock() - 2 * self._settings.collect_after_s
        self._unnamed = {folder: since_s for folder, since_s in self._unnamed.items() if since_s > oldest_s}
        await self._storage.empty_trash()
        for area in (WORK, OUT):
            for job in await self._storage.list(area):
                try:
                    await self._collect_job(area, job.name)
                except ValueError:
                    log.exception("collector.unreadable", area=area, job=job.name)
                except OSError:
                    # The next one may be deletable, and the room that it takes may be what is missing here.
                    log.exception("collector.failed", area=area, job=job.name)
        await self._uploads.collect()

    async def sweep(self, job: str) -> None:
        """Delete what a job leaves behind when its hash is about to go, except its published result."""
        try:
            view = await read_job(self._client, self._partitions, job)
        except UnknownJobId:
            return
        if view is None:
            return
        await self._storage.delete(f"{WORK}/{job}")
        for fence in await self._storage.list(f"{OUT}/{job}"):
            folder = f"{OUT}/{job}/{fence.name}"
            if folder != _published(view):
                await self._delete(OUT, folder)

    async def remove(self, job: str) -> None:
        """Delete everything of a deleted job, its published result too."""
        for area in (WORK, OUT):
            for fence in await self._storage.list(f"{area}/{job}"):
                await self._delete(area, f"{area}/{job}/{fence.name}")
            await self._storage.delete(f"{area}/{job}")

    async def _collect_job(self, area: str, job: str) -> None:
        # The folders are listed before the job is read: what is listed belongs to that fence or an older one.
        folders = [
            f"{area}/{job}/{fence.name}" for fence in await self._storage.list(f"{area}/{job}") if fence.is_folder
        ]
        now_s = self._clock()
        if folders and all(now_s - self._settled.get(folder, 0.0) < self._settings.results_s for folder in folders):
            return
        try:
            view = await read_job(self._client, self._partitions, job)
        except UnknownJobId:
            return  # of another installation, which is none of our business
        for folder in folders:
            if view is not None and _names(view, folder):
                self._unnamed.pop(folder, None)
                await self._storage.delete(f"{folder}/{UNNAMED}")
                self._settle(area, view, folder)
            elif area == OUT and view is None:
                await self._collect_result(folder)
            else:
                await self._collect_unnamed(area, folder)
        if not folders or not await self._storage.list(f"{area}/{job}"):
            await self._storage.delete_empty(f"{area}/{job}")

    async def _collect_unnamed(self, area: str, folder: str) -> None:
        now_s = self._clock()
        since_s = await self._unnamed_since(folder)
        if since_s is None:
            try:
                await self._storage.write_atomic(f"{folder}/{UNNAMED}", f"{now_s:.3f}".encode())
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                self._unnamed[folder] = now_s
        elif now_s - since_s >= self._settings.collect_after_s:
            await self._delete(area, folder)

    async def _unnamed_since(self, folder: str) -> float | None:
        try:
            return float(await self._storage.read(f"{folder}/{UNNAMED}"))
        except (FileNotFoundError, ValueError):
            return self._unnamed.get(folder)

    async def _collect_result(self, folder: str) -> None:
        """The job is forgotten; its result lives on for as long as the manifest says."""
        try:
            manifest = decode(Manifest, await self._storage.read(f"{folder}/{MANIFEST}"))
        except (FileNotFoundError, ValueError):
            await self._collect_unnamed(OUT, folder)
            return
        created_s = manifest.created_at.timestamp()
        self._settled[folder] = created_s
        if self._clock() - created_s >= self._settings.results_s:
            await self._delete(OUT, folder)

    def _settle(self, area: str, view: JobView, folder: str) -> None:
        """A result need not be looked at again once its job's end is too old for a power failure to undo."""
        if area == OUT and view.terminal and view.ended_at_ms is not None and folder == _published(view):
            ended_s = view.ended_at_ms / 1000
            if self._clock() - ended_s >= self._settings.collect_after_s:
                self._settled[folder] = ended_s

    async def _delete(self, area: str, folder: str) -> None:
        self._settled.pop(folder, None)
        self._unnamed.pop(folder, None)
        await self._storage.delete(folder)
        COLLECTED.labels(area).inc()
        log.info("folder.collected", folder=folder)


def _published(view: JobView) -> str | None:
    return decode(Result, view.result).path if view.result else None


def _names(view: JobView, folder: str) -> bool:
    """Whether the job still needs a folder."""
    if folder == _published(view):
        return True
    if any(ref == folder or ref.startswith(f"{folder}/") for ref in view.refs):
        return True
    return not view.terminal and folder.rpartition("/")[2] == view.fence
