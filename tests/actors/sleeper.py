"""A worker process for tests of time: `python -m tests.actors.sleeper URL FOLDER LEASE_S BEAT_S SLOTS STALL_S`.

Each start of a stage is a line `<job> <fence> <pid>` in FOLDER/starts; a stage ends once FOLDER/finish is there.
"""

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

from actors.kernel import Actor, ActorOptions, Done, KernelOptions, Partitions, RedisOptions, Result, Task
from tests.kernel.stages import Plain

TICK_S = 0.02
TICKS_PER_REPORT = 50


class Sleeper:
    """The handler."""

    stage = "a"

    def __init__(self, folder: Path) -> None:
        self._starts = folder / "starts"
        self._finish = folder / "finish"

    async def handle(self, task: Task) -> Result:
        descriptor = os.open(self._starts, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{task.job} {task.fence} {os.getpid()}\n".encode())
        os.close(descriptor)
        for tick in itertools.count():
            if self._finish.exists():
                break
            if tick % TICKS_PER_REPORT == 0:
                task.report(None)
            await asyncio.sleep(TICK_S)
        return Done(b"{}")


async def main(url: str, folder: str, lease_s: str, beat_s: str, slots: str, stall_s: str) -> None:
    """Works until SIGTERM; says `ready` once it takes."""
    options = KernelOptions(lease_s=float(lease_s), beat_s=float(beat_s))
    actor_options = ActorOptions(concurrency=int(slots), stall_timeout_s=float(stall_s))
    actor = Actor(RedisOptions(url=url), Partitions(1), options, Sleeper(Path(folder)), Plain(), actor_options)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await actor.start()
    await actor.ready()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ending.wait()
    await actor.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
