"""The kernel's own tests again, on a Redis Cluster: every script keeps to the keys of one slot, in every case.

Each module here has the tests of the module of the same name in tests/kernel. Those that need a server of their own to
kill or reconfigure stay there; the other modules of topologies/ do that to a cluster.
"""

from pathlib import Path

import pytest

from tests.kernel.topologies.servers import Cluster

HERE = Path(__file__).parent
OF_ONE_SERVER = {"test_a_tenant_keeps_to_its_partition"}
"""Lists all keys of the server, which is one of three here."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    outside = [
        item
        for item in items
        if HERE in item.path.parents
        and ("own_redis_server" in getattr(item, "fixturenames", ()) or item.name in OF_ONE_SERVER)
    ]
    config.hook.pytest_deselected(items=outside)
    items[:] = [item for item in items if item not in outside]


@pytest.fixture
def redis_url(cluster: Cluster) -> str:
    """The empty cluster, in place of the single server."""
    cluster.flush()
    return cluster.url
