"""Real reapers beside the actors of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.kernel import KernelOptions
from actors.reaper import Reaper
from actors.settings import load
from actors.storage.local import LocalStorage


def reaper(url: str, options: KernelOptions, directory: Path, *, reconcile_s: float = 0.1) -> Reaper:
    """A reaper of a passing interval, not started yet."""
    settings = load(
        {
            "REELWAY_REDIS_URL": url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(directory),
            "REELWAY_KERNEL_LEASE_S": str(options.lease_s),
            "REELWAY_KERNEL_BEAT_S": str(options.beat_s),
            "REELWAY_REAPER_INTERVAL_S": "0.05",
            "REELWAY_REAPER_RECONCILE_S": str(reconcile_s),
        }
    )
    return Reaper(settings, LocalStorage(directory / "storage"))


@asynccontextmanager
async def reaping(url: str, options: KernelOptions, directory: Path, count: int = 1) -> AsyncIterator[None]:
    """`count` reapers that walk the jobs all the time."""
    reapers = [reaper(url, options, directory) for _ in range(count)]
    for one in reapers:
        await one.start()
    try:
        for one in reapers:
            await one.ready()
        yield
    finally:
        for one in reapers:
            await one.stop()
