"""A Redis Cluster for a whole session."""

from collections.abc import Iterator

import pytest

from tests.kernel.topologies.servers import Cluster, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes without replicas, for tests that break nothing."""
    with running(Cluster()) as started:
        yield started
