"""What each fault does to a real server or process: one case a fault, and what all of them have in common."""

import time
from collections.abc import Awaitable, Callable

import pytest
from redis.exceptions import NoScriptError

from actors.kernel.keys import Keys
from actors.kernel.scripts import script, verbs
from tests.faults.history import FaultBegan, FaultEnded
from tests.faults.injection.scene import Scene, state_of

Case = Callable[[Scene], Awaitable[None]]
CASES: dict[str, Case] = {}
KEYS = Keys("00")
INBOX = KEYS.inbox("step1", "cpu", "normal")
HAPPENED = [FaultBegan, FaultEnded]


def shows(name: str) -> Callable[[Case], Case]:
    """The function shows what this fault does."""

    def register(case: Case) -> Case:
        CASES[name] = case
        return case

    return register


async def assert_well(scene: Scene) -> None:
    """Everything is as if nothing had happened, but for what was destroyed."""
    for process in scene.small.processes:
        assert state_of(process.pid) != "T"
        if process.proxy is not None:
            losses = process.proxy.losses
            client = scene.client(process.proxy.url)
            for _ in range(50):
                assert await client.ping()
            for verb in verbs():
                with pytest.raises(NoScriptError):
                    await client.execute_command("EVALSHA", script(verb).digest, 0)  # type: ignore[no-untyped-call]
            assert process.proxy.losses == losses
    for server in scene.small.servers:
        assert server.alive
        assert await server.client.ping()
        assert await server.client.config_get("maxmemory") == {"maxmemory": "0"}
        assert abs((await server.client.time())[0] - now()) < 2
    if scene.small.disk is not None:
        (scene.small.disk.path / "file").write_bytes(bytes(100_000))


def now() -> float:
    return time.time()


async def true_if(value: bool) -> bool:
    return value
