"""A worker process whose stages sleep as long as their input says: `python -m bench.sleeping_worker URL SLOTS`.

Everything else is the product's default. It says `ready <worker>` once it takes.
"""

import asyncio
import logging
import signal
import sys

import msgspec
import structlog
import uvloop

from actors.kernel import Actor, ActorOptions, Done, KernelOptions, Partitions, RedisOptions, Task
from bench.systems.reelway.situation import NoFailures

STAGE = "sleep"


class Sleep:
    """The handler. Its input is a JSON number, seconds."""

    stage = STAGE

    async def handle(self, task: Task) -> Done:
        await asyncio.sleep(msgspec.json.decode(task.input, type=float))
        return Done(b'{"outputs":[]}')


async def main(url: str, slots: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    options = ActorOptions(concurrency=slots, stall_timeout_s=600.0)
    actor = Actor(RedisOptions(url=url), Partitions(1), KernelOptions(), Sleep(), NoFailures(), options)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await actor.start()
    await actor.ready()
    sys.stdout.write(f"ready {actor.worker_name}\n")
    sys.stdout.flush()
    await ending.wait()
    await actor.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
