"""A gateway in a process of its own, on uvloop, as `reelway run gateway` has it. It ends by SIGTERM.

Prints one JSON line when it listens, and one when it has stopped.
"""

import asyncio
import json
import signal
import sys
import time

BEGAN_S = time.perf_counter()

import uvloop  # noqa: E402

from actors.logging import configure  # noqa: E402
from actors.settings import load  # noqa: E402
from gateway.http.service import GatewayService  # noqa: E402


async def main() -> None:
    settings = load()
    configure(settings.logging, "gateway")
    service = GatewayService(settings)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await service.start()
    say({"port": service.port, "listening_after_s": time.perf_counter() - BEGAN_S})
    await service.ready()
    say({"ready_after_s": time.perf_counter() - BEGAN_S})
    await stopping.wait()
    began_s = time.perf_counter()
    await service.drain()
    await service.stop()
    say({"stopped_after_s": time.perf_counter() - began_s})


def say(facts: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
