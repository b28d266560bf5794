"""A server for the cases that keeps nothing on disk: they send tens of thousands of small scripts."""

from collections.abc import Iterator

import pytest

from tests.conftest import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """For tests that neither stop nor reconfigure it; who kills a server takes `own_redis_server`, which persists."""
    server = RedisServer("--appendonly", "no")
    server.start()
    yield server
    server.stop()
