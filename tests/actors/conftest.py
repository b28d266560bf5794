"""Fixtures of the actors' tests: a misbehaving web server, storage in a temporary folder, tasks without Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio

from actors.storage.local import LocalStorage
from tests.actors.fault_server import FaultServer
from tests.actors.stages_on_disk import Stages
from tests.media_samples import ffmpeg, media_factory
from tests.small_disk import SmallDisk

__all__ = ["ffmpeg", "media_factory"]


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    made = FaultServer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "storage")


@pytest.fixture
async def stages(redis_client: redis.asyncio.Redis, redis_url: str, small_disk: SmallDisk) -> AsyncIterator[Stages]:
    """Actors of this process with their storage on the small disk; the test starts them."""
    made = Stages(redis_client, redis_url, small_disk.path)
    yield made
    await made.stop()
