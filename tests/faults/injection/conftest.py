"""Fixtures of the faults' tests."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.injection.scene import Scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """An empty house. Its folder has a short name, since the names of sockets may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="rw-"))
    made = Scene(folder)
    try:
        yield made
    finally:
        await made.close()
        shutil.rmtree(folder, ignore_errors=True)
