"""A full disk."""

import pytest

from tests.faults.house.disk import make_disk
from tests.faults.injection.cases.case import shows
from tests.faults.injection.scene import Scene


@shows("full_disk")
async def _full_disk(scene: Scene) -> None:
    disk = scene.small.disk = make_disk(scene.folder / "disk")
    if disk is None:
        pytest.skip("this user cannot mount a tmpfs")
    async with scene.during("full_disk"):
        with pytest.raises(OSError, match="No space"):
            (disk.path / "file").write_bytes(b"a")
