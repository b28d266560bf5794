"""The broker and the subscribers, for both the worker and the client."""

import logging
import os

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

import reporting

GROUP = "bench"
CLAIM_AFTER_MS = 10_000
# A logger of ours, at the level that it has by itself: the broker's own one writes two lines for each message.
broker = RedisBroker(reporting.REDIS, logger=logging.getLogger("bench"))
app = FastStream(broker)


@app.after_startup
async def tell_ready() -> None:
    reporting.ready()


def reading(stream: str) -> StreamSub:
    """A member of the group that reads what nobody has read."""
    return StreamSub(stream, group=GROUP, consumer=f"reader-{os.getpid()}", max_records=reporting.CONCURRENCY)


def claiming(stream: str) -> StreamSub:
    """A member of the group that takes over what another one has held for too long."""
    return StreamSub(stream, group=GROUP, consumer=f"claimer-{os.getpid()}", min_idle_time=CLAIM_AFTER_MS)


if reporting.MODE == "noop":
    STREAMS = ["noop"]

    @broker.subscriber(stream=reading("noop"), max_workers=reporting.CONCURRENCY)
    async def noop(number: int) -> int:
        reporting.COUNTER.began()
        reporting.COUNTER.ended()
        return number

elif reporting.MODE == "chain":
    STREAMS = ["first", "second", "third", "fourth"]

    @broker.subscriber(stream=reading("first"), max_workers=reporting.CONCURRENCY)
    @broker.publisher(stream="second")
    async def first(number: int) -> int:
        reporting.COUNTER.began()
        return number

    @broker.subscriber(stream=reading("second"), max_workers=reporting.CONCURRENCY)
    @broker.publisher(stream="third")
    async def second(number: int) -> int:
        return number

    @broker.subscriber(stream=reading("third"), max_workers=reporting.CONCURRENCY)
    @broker.publisher(stream="fourth")
    async def third(number: int) -> int:
        return number

    @broker.subscriber(stream=reading("fourth"), max_workers=reporting.CONCURRENCY)
    async def fourth(number: int) -> int:
        reporting.COUNTER.ended()
        return number

elif reporting.MODE == "latency":
    STREAMS = ["latency"]

    @broker.subscriber(stream=reading("latency"), max_workers=reporting.CONCURRENCY)
    async def latency(number: int, stamp_ns: int) -> int:
        reporting.started(number, stamp_ns)
        return number

else:
    STREAMS = ["sleep"]

    async def sleep(number: int) -> int:
        await reporting.sleeping(number)
        return number

    broker.subscriber(stream=reading("sleep"), max_workers=reporting.CONCURRENCY)(sleep)
    if reporting.FAST:
        broker.subscriber(stream=claiming("sleep"), max_workers=reporting.CONCURRENCY)(sleep)
