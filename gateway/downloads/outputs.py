"""Where the published outputs of a job are: in its hash, and once that is deleted in the manifest beside the files."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from actors.kernel import UnknownJobId, persist
from actors.media.task import Manifest, StoredOutput
from actors.storage import Storage
from actors.storage.keys import MANIFEST, OUT, check_key
from gateway.http.context import Context
from gateway.http.problems import Problem
from gateway.jobs.handlers import owned
from gateway.jobs.rendering import result_of
from gateway.principal import Principal
from gateway.streams.reader import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Published:
    """A published folder: its storage key and what lies in it."""

    folder: str
    outputs: Sequence[StoredOutput]


async def find_outputs(context: Context, principal: Principal, job: str) -> Published | None:
    """The outputs of a job; None while it has none. Raises Problem JOB_NOT_FOUND or StoreUnavailable."""
    try:
        view = (await context.reader.read(job)).view
    except UnknownJobId:
        raise Problem("JOB_NOT_FOUND") from None
    if view is not None:
        result = result_of(owned(view, principal))
        return None if result is None else Published(result.path, result.outputs)
    keys = context.partitions.keys_of_job(job)
    if await persist(lambda: context.redis.zscore(keys.deleted, job), patience_s=PATIENCE_S) is not None:
        # Its files are about to be swept, and what a late worker still publishes is nobody's.
        raise Problem("JOB_NOT_FOUND")
    published = await _from_manifest(context.storage, principal, job)
    if published is None:
        raise Problem("JOB_NOT_FOUND")
    return published


async def _from_manifest(storage: Storage, principal: Principal, job: str) -> Published | None:
    try:
        folder = check_key(f"{OUT}/{job}")
    except ValueError:
        return None
    found: list[tuple[Manifest, str]] = []
    for entry in await storage.list(folder):
        if not entry.is_folder:
            continue
        try:
            manifest = msgspec.json.decode(await storage.read(f"{folder}/{entry.name}/{MANIFEST}"), type=Manifest)
        except (FileNotFoundError, msgspec.DecodeError):
            continue
        if manifest.tenant == principal.tenant and manifest.job == job:
            found.append((manifest, entry.name))
    if not found:
        return None
    # The collector leaves one published folder of a job; until it has come by, the newest is that one.
    manifest, name = max(found, key=lambda pair: pair[0].created_at)
    return Published(f"{folder}/{name}", manifest.outputs)
