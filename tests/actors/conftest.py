"""Fixtures of the actors' tests: a misbehaving web server, storage in a temporary folder, tasks without Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.storage.local import LocalStorage
from tests.actors.fault_server import FaultServer
from tests.media_samples import ffmpeg, media_factory

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
