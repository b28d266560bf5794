"""Fixtures of the command's tests."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command.cluster import cluster
from tests.command.pacing import LONG_S, PacedFfmpeg
from tests.command.reelway import LOOPBACK, Reelway
from tests.conftest import RedisServer
from tests.media_samples import MediaFactory, ffmpeg, media_factory

__all__ = ["cluster", "ffmpeg", "media_factory"]


@pytest.fixture
def reelway(tmp_path: Path) -> Iterator[Reelway]:
    """The command with a data directory of this test's own; nothing of it is left behind."""
    command = Reelway(tmp_path)
    yield command
    command.end()


@pytest.fixture(scope="session")
def clip(media_factory: MediaFactory) -> Path:
    """Eight seconds of H.264 and AAC in MP4."""
    return media_factory.clip()


@pytest.fixture
def paced(tmp_path: Path, ffmpeg: Path) -> PacedFfmpeg:
    """Slow until told otherwise."""
    made = PacedFfmpeg(tmp_path / "paced", ffmpeg)
    made.slow()
    return made


@pytest.fixture
def long_clip(media_factory: MediaFactory) -> Path:
    """A source that takes `LONG_S` while ffmpeg is paced."""
    return media_factory.clip(LONG_S)


@pytest.fixture
def slow_reelway(reelway: Reelway, paced: PacedFfmpeg) -> Reelway:
    """The command with that ffmpeg; it may fetch from this machine."""
    reelway.environment |= {"REELWAY_FFMPEG": str(paced.program), **LOOPBACK}
    return reelway


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def evicting_redis_url() -> Iterator[str]:
    """A Redis that would drop keys when its memory is full."""
    server = RedisServer("--maxmemory-policy", "allkeys-lru")
    server.start()
    yield server.url
    server.stop()
