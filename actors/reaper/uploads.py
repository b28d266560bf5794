"""Uploads that have expired and that no live job needs."""

import time
from collections.abc import Callable

import msgspec
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from actors.kernel import Partitions
from actors.media.task import UPLOAD_PREFIX
from actors.settings import StorageSettings
from actors.storage import Entry, Storage
from actors.storage.keys import UPLOADS
from actors.storage.uploads import read_upload

COLLECTED = Counter("reelway_uploads_collected_total", "Uploads deleted after they had expired.")
log = structlog.get_logger("collector")


class _Spec(msgspec.Struct, frozen=True):
    source: str = ""


class UploadCollector:
    """Walks the uploads. `clock` gives seconds since the epoch, as file times are."""

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

    async def collect(self) -> None:
        """Delete expired uploads. Jobs are only read when something has expired."""
        expired = [entry.name for entry in await self._storage.list(UPLOADS) if await self._has_expired(entry)]
        if not expired:
            return
        needed = await self._needed()
        for upload in expired:
            if upload not in needed:
                await self._storage.delete(f"{UPLOADS}/{upload}")
                COLLECTED.inc()
                log.info("upload.collected", upload=upload)

    async def _has_expired(self, entry: Entry) -> bool:
        """An upload without its record was never finished; it has the same life from its last change on."""
        meta = await read_upload(self._storage, entry.name)
        if meta is None:
            return self._clock() - entry.modified_s >= self._settings.uploads_s
        return self._clock() >= meta.expires_at.timestamp()

    async def _needed(self) -> set[str]:
        """Ids of the uploads that live jobs name in their spec or their refs."""
        needed: set[str] = set()
        for partition in self._partitions:
            keys = self._partitions.keys(partition)
            async for job, _ in self._client.zscan_iter(keys.active, count=100):
                spec, refs = await self._client.hmget(keys.job(job.decode()), ["spec", "refs"])
                needed.update(_named(spec, refs))
        return needed


def _named(spec: bytes | str | None, refs: bytes | str | None) -> set[str]:
    named: set[str] = set()
    try:
        source = msgspec.json.decode(spec or b"{}", type=_Spec).source
        paths = msgspec.json.decode(refs or b"[]", type=list[str])
    except msgspec.DecodeError:
        return named
    if source.startswith(UPLOAD_PREFIX):
        named.add(source.removeprefix(UPLOAD_PREFIX))
    named.update(path.split("/")[1] for path in paths if path.startswith(f"{UPLOADS}/"))
    return named
