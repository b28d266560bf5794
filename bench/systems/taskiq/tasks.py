"""The broker and the tasks, for both the worker and the client."""

from collections.abc import AsyncGenerator
from typing import Any

from taskiq_pipelines import PipelineMiddleware
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

import reporting

RESULT_KEPT_S = 600
CLAIM = {"idle_timeout": 10_000} if reporting.FAST else {}


class Broker(RedisStreamBroker):
    """Tells when the group is there and the reading begins."""

    def listen(self) -> AsyncGenerator[Any, None]:
        reporting.ready()
        listening: AsyncGenerator[Any, None] = super().listen()
        return listening


# A consumer_id of 0: with the default, the end of the stream, what was sent before the first worker started is lost.
broker = Broker(reporting.REDIS, consumer_id="0", **CLAIM).with_result_backend(
    RedisAsyncResultBackend(reporting.REDIS, result_ex_time=RESULT_KEPT_S)
)
if reporting.MODE == "chain":
    broker = broker.with_middlewares(PipelineMiddleware())


@broker.task
async def noop(number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


@broker.task
async def first(number: int) -> int:
    reporting.COUNTER.began()
    return number


@broker.task
async def second(number: int) -> int:
    return number


@broker.task
async def third(number: int) -> int:
    return number


@broker.task
async def fourth(number: int) -> int:
    reporting.COUNTER.ended()
    return number


@broker.task
async def latency(number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


@broker.task
async def sleep(number: int) -> int:
    await reporting.sleeping(number)
    return number
