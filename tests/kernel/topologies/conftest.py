"""A Redis Cluster and a watched primary for a whole session, and what the kernel's tests ask for, on the cluster."""

from collections.abc import Iterator

import pytest

from tests.kernel.topologies.servers import Cluster, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes without replicas, for tests that break nothing."""
    with running(Cluster()) as started:
        yield started


@pytest.fixture
def cluster_url(cluster: Cluster) -> str:
    cluster.flush()
    return cluster.url
