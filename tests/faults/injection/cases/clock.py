"""A clock that makes a step."""

import pytest

from tests.faults.injection.cases.case import now, shows
from tests.faults.injection.scene import Scene
from tests.kernel.stages import eventually


@shows("step_clock")
async def _step_clock(scene: Scene) -> None:
    server = await scene.start_server()
    if not await server.step_clock(0):
        pytest.skip("the clock of this server cannot be stepped")

    async def is_wrong() -> bool:
        return abs((await server.client.time())[0] - now()) > 1.5

    async with scene.during("step_clock"):
        await eventually(is_wrong)
    assert not await is_wrong()
