"""A server for the cases that keeps nothing on disk, since they send tens of thousands of small scripts, and leases
that no slow machine lets run out: who needs a short one says so."""

from collections.abc import Iterator

import pytest

from actors.kernel import KernelOptions
from tests.conftest import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """For tests that neither stop nor reconfigure it; who kills a server takes `own_redis_server`, which persists."""
    server = RedisServer("--appendonly", "no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kernel_options() -> KernelOptions:
    """For `house`."""
    return KernelOptions(lease_s=30, beat_s=0.15)
