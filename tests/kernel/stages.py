"""What the kernel's tests run: scripted handlers, a plain failure policy, and an installation to run them in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import redis.asyncio

from actors.kernel import (
    Actor,
    ActorOptions,
    Done,
    Failure,
    JobView,
    Keeper,
    KernelOptions,
    Partitions,
    Permanent,
    RedisOptions,
    Result,
    Stalled,
    State,
    Submission,
    Submitter,
    Task,
    connect,
    read_job,
)


class Scripted:
    """A handler made of one function; counts its starts."""

    def __init__(self, work: Callable[[Task], Awaitable[Result]], stage: str = "a") -> None:
        self.stage = stage
        self.started: list[tuple[str, str]] = []
        """(job, fence) of each start."""
        self._work = work

    async def handle(self, task: Task) -> Result:
        self.started.append((task.job, task.fence))
        return await self._work(task)


class Plain:
    """Three errors a stage, no delay worth mentioning."""

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        code = getattr(failure, "code", "BUG")
        names: list[tuple[type, Any]] = [(Permanent, "permanent"), (Stalled, "stalled")]
        cls: Any = next((name for kind, name in names if isinstance(failure, kind)), "transient")
        error = f'{{"code":"{code}"}}'.encode()
        return Failure(cls=cls, code=code, delay_ms=1, budget=3, error=error, reason=error)


class Installation:
    """One Redis, one partition, and the clients to look at it."""

    def __init__(self, url: str, options: KernelOptions, partitions: int = 1) -> None:
        self.redis_options = RedisOptions(url=url)
        self.options = options
        self.partitions = Partitions(partitions)
        self.client: redis.asyncio.Redis = connect(self.redis_options)
        self.submitter = Submitter(self.client, self.partitions, options)
        self.keeper = Keeper(self.client, self.partitions, options)
        self.keys = self.partitions.keys("00")

    def actor(self, handler: Scripted, **options: Any) -> Actor:
        actor_options = ActorOptions(**options)
        return Actor(self.redis_options, self.partitions, self.options, handler, Plain(), actor_options)

    @asynccontextmanager
    async def running(self, *actors: Actor) -> AsyncIterator[None]:
        for actor in actors:
            await actor.start()
        try:
            for actor in actors:
                await actor.ready()
            yield
        finally:
            for actor in actors:
                await actor.stop()

    async def submit(self, stage: str = "a") -> str:
        submitted = await self.submitter.submit(Submission(tenant="t", stage=stage, spec=b"{}", input=b"{}"))
        return submitted.job

    async def read(self, job: str) -> JobView:
        seen = await read_job(self.client, self.partitions, job)
        assert seen is not None
        return seen

    async def until(self, job: str, *states: State, within_s: float = 10.0) -> JobView:
        """The job once it is in one of these states."""
        seen: list[JobView] = []

        async def there() -> bool:
            seen[:] = [await self.read(job)]
            return seen[0].state in states

        await eventually(there, within_s, lambda: f"{job} is {seen[0].state}, not {states}")
        return seen[0]

    async def reap(self) -> dict[str, str]:
        return dict((await self.keeper.reap("00", await self.keeper.server_time_ms())).jobs)


async def eventually(
    condition: Callable[[], Awaitable[bool]],
    within_s: float = 10.0,
    why: Callable[[], str] = lambda: "condition not met",
) -> None:
    """Returns when the server's state satisfies the condition."""
    gives_up_at = monotonic() + within_s
    while not await condition():
        assert monotonic() < gives_up_at, why()
        await asyncio.sleep(0.005)


async def done(task: Task) -> Result:
    return Done(b"{}")


async def forever(task: Task) -> Result:
    """Ends only when it is stopped."""
    await asyncio.Event().wait()
    return Done(b"{}")


async def server_ms(client: redis.asyncio.Redis) -> int:
    """The server's clock."""
    seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
