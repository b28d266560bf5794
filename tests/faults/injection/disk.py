"""A disk without any room."""

import asyncio

from tests.faults.injection.claims import alone_with
from tests.faults.injection.fault import Blow, Fault, NothingToHit


class FullDisk(Fault):
    """Nothing can be written to the storage for a while."""

    name = "full_disk"
    weight = 1.2
    bounds_s = (1.0, 4.0)
    is_exclusive = True

    async def strike(self, blow: Blow) -> None:
        disk = blow.house.disk
        if disk is None:
            raise NothingToHit("no file system of its own could be mounted here")
        async with alone_with(*blow.house.servers):
            blow.begins(str(disk.path))
            try:
                disk.fill()
                await asyncio.sleep(blow.lasts_s)
            finally:
                disk.empty()
