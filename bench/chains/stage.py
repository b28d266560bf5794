"""One stage of the media pipeline with a handler that waits: `python -m bench.chains.stage STAGE SECONDS SLOTS`.

Everything around the handler is as in `reelway run STAGE`: settings from the environment, announcements, the error
table, logging. Its bodies are those of a real conversion. SECONDS 0: it returns at once.
"""

import asyncio
import sys

from actors.failures import Coded, TablePolicy
from actors.installation import kernel_options, redis_options
from actors.kernel import Actor, ActorOptions, Done, Next, Partitions, Task
from actors.kernel.presence import Announcer
from actors.logging import configure
from actors.run import run, serve
from actors.settings import load
from actors.version import installed_version
from bench.bodies import COMPLETED, INPUTS, REFS, RESULT
from bench.chains.orders import following


class Waiting:
    """The handler."""

    def __init__(self, stage: str, seconds: float) -> None:
        self.stage = stage
        self._seconds = seconds
        self._following = following(stage)

    async def handle(self, task: Task) -> Next | Done:
        del task  # what it does does not depend on the job
        if self._seconds:
            await asyncio.sleep(self._seconds)
        if self._following is None:
            return Done(RESULT, COMPLETED)
        return Next(self._following, INPUTS[self._following], REFS[self._following])


def main(stage: str, seconds: float, slots: int) -> None:
    settings = load()
    configure(settings.logging, stage)
    actor = Actor(
        redis_options(settings),
        Partitions(settings.redis.partitions),
        kernel_options(settings),
        Coded(Waiting(stage, seconds)),
        TablePolicy({stage: 1}),
        ActorOptions(concurrency=slots),
    )
    announcer = Announcer(redis_options(settings), actor, installed_version())
    run(serve([actor, announcer], settings, lambda: print(f'{{"ready":["{stage}"]}}', flush=True)))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
