"""Named limits: how many jobs of the whole installation may do something at the same moment.

A limit is a set of leases, `rw:{sys}:limit:<name>`, entered after `take`. Who gets no place is Throttled: the job waits
without spending an attempt and its worker is free for other work. A place is renewed with every beat and ends by itself
when its holder is gone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping

import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from actors.kernel.connection import connect, persist
from actors.kernel.ending import end_tasks
from actors.kernel.handler import Throttled
from actors.kernel.options import KernelOptions, RedisOptions
from actors.kernel.scripts import Argument
from actors.kernel.system_scripts import SYSTEM, SystemScripts

LIMIT_REACHED = "LIMIT_REACHED"
"""Code of the Throttled that a handler sees."""
LEAST_WAIT_S = 1.0
CONNECTIONS = 4
_LEAVE_S = 2.0
REFUSED = Counter("reelway_limit_refused_total", "Jobs that found every place of a named limit taken.", ["limit"])
log = structlog.get_logger("kernel.limits")


class Limits:
    """The named limits of an installation, a Service with connections of its own.

    `places`: how many jobs at once, by name; other names are not limited.
    """

    name = "limits"

    def __init__(self, redis_options: RedisOptions, places: Mapping[str, int], options: KernelOptions) -> None:
        self._client = connect(redis_options, connections=CONNECTIONS)
        self._scripts = SystemScripts(self._client)
        self._places = places
        self._options = options

    @property
    def names(self) -> Collection[str]:
        """What is limited."""
        return self._places.keys()

    async def start(self) -> None:
        """Connects when a place is asked for."""

    async def ready(self) -> None:
        """At once."""

    async def drain(self) -> None:
        """Running jobs keep their places."""

    async def stop(self) -> None:
        """Places that are still held end by themselves."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def place(self, name: str, holder: str) -> AsyncIterator[None]:
        """Holds a place of `name` while the body runs; `holder` must be unique, such as a job and its fence.

        Raises Throttled when every place is taken, and when the place was lost while Redis could not be reached and
        others have taken all places since: the limit holds even then. Waits while Redis does not answer.
        """
        if name not in self._places:
            yield
            return
        wait_ms = await persist(lambda: self._enter(name, holder))
        if wait_ms is not None:
            REFUSED.labels(name).inc()
            log.debug("limit.refused", limit=name, holder=holder, places=self._places[name])
            raise Throttled(LIMIT_REACHED, f"{name}: {self._places[name]} at once", max(wait_ms / 1000, LEAST_WAIT_S))
        body = asyncio.current_task()
        assert body is not None  # noqa: S101 - a coroutine always runs in a task
        cancelled_before = body.cancelling()
        renewing = asyncio.create_task(self._renew(name, holder, body), name=f"limit-{name}")
        try:
            yield
        except asyncio.CancelledError:
            lost = renewing.done() and not renewing.cancelled()
            if lost and body.uncancel() <= cancelled_before:
                raise Throttled(LIMIT_REACHED, f"{name}: the place was lost", LEAST_WAIT_S) from None
            raise
        finally:
            await end_tasks([renewing])
            await self._leave(name, holder)

    async def _enter(self, name: str, holder: str) -> int | None:
        """None when `holder` has a place, otherwise ms until one may become free."""
        arguments: list[Argument] = [self._places[name], self._options.lease_ms, holder]
        entered, wait_ms = await self._scripts.call("enter", [f"{SYSTEM}limit:{name}"], arguments)
        return None if entered else int(wait_ms)

    async def _renew(self, name: str, holder: str, body: "asyncio.Task[object]") -> None:
        """Returns, after cancelling the body, only when the place was lost."""
        while True:
            await asyncio.sleep(self._options.beat_s)
            try:
                if await self._enter(name, holder) is not None:
                    break
            except (RedisError, OSError) as error:
                log.debug("limit.unanswered", limit=name, holder=holder, error=str(error))
        log.warning("limit.lost", limit=name, holder=holder)
        body.cancel()

    async def _leave(self, name: str, holder: str) -> None:
        """A place that cannot be given back ends by itself."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._client.zrem(f"{SYSTEM}limit:{name}", holder)
