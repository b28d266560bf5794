"""The installation that clients are tested in."""

from collections.abc import AsyncIterator

import pytest

from actors.kernel import KernelOptions
from tests.kernel.stages import Installation


@pytest.fixture
async def house(redis_url: str, kernel_options: KernelOptions) -> AsyncIterator[Installation]:
    installation = Installation(redis_url, kernel_options)
    yield installation
    await installation.client.aclose()
