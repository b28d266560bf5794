"""A scripted worker on the shared server, for tests that make each event happen themselves."""

import pytest
import redis.asyncio

from actors.kernel import Partitions
from tests.gateway.scripted_worker import ScriptedWorker


@pytest.fixture
async def worker(redis_client: redis.asyncio.Redis, partitions: Partitions) -> ScriptedWorker:
    return ScriptedWorker(redis_client, partitions)
