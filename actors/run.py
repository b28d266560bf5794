"""Runs roles in one process: start, ready, then drain and stop when told to."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog

from actors.failures import Coded, TablePolicy
from actors.fetch import Fetch
from actors.ingest import Ingest
from actors.installation import check_installation, kernel_options, redis_options
from actors.kernel import Actor, ActorOptions, Handler, Neighbours, Partitions, RedisOptions, Service, end_tasks
from actors.kernel.limits import Limits
from actors.kernel.presence import Announcer
from actors.metrics import MetricsEndpoint
from actors.notify import LogEndpoint, Notify
from actors.places import egress_of, storage_of
from actors.reaper import Reaper
from actors.settings import Settings, StageSettings
from actors.settings_values import SettingsError
from actors.store import Store
from actors.version import installed_version

Role = Literal["ingest", "fetch", "transcode", "store", "notify", "reaper", "gateway"]
ROLES: tuple[Role, ...] = ("ingest", "fetch", "transcode", "store", "notify", "reaper", "gateway")
STAGES = ("ingest", "fetch", "transcode", "store", "notify")

T = TypeVar("T")
log = structlog.get_logger("run")


def build_services(roles: Sequence[str], settings: Settings) -> list[Service]:
    """The services of the roles that live in Python on the cluster side.

    Raises SettingsError for an unknown role or unusable settings. `transcode` is a program of its
    own, see actors.transcode; `gateway` is built by the gateway.
    """
    built: list[Service] = []
    neighbours = Neighbours()
    for role in roles:
        if role == "reaper":
            built.append(Reaper(settings, storage_of(settings)))
        elif role in STAGES and role != "transcode":
            if role == "notify":
                built.append(_log_endpoint(settings))
            built += _worker(role, settings, neighbours)
        else:
            raise SettingsError(f"{role!r} is not a role that runs here.")
    if settings.metrics.port and "gateway" not in roles:
        built.append(MetricsEndpoint(settings.metrics))
    return built


async def serve(services: Sequence[Service], settings: Settings, on_ready: Callable[[], None] | None = None) -> None:
    """Run services until SIGTERM or SIGINT, then drain and stop them; a second signal skips the draining.

    Raises SettingsError when Redis does not fit the settings.
    """
    stopping = asyncio.Event()
    hurrying = asyncio.Event()
    with _signals(lambda: hurrying.set() if stopping.is_set() else stopping.set()):
        await _unless(stopping, check_installation(settings))
        started: list[Service] = []
        try:
            for service in services:
                if stopping.is_set():
                    break
                await service.start()
                started.append(service)
            await _unless(stopping, _all(service.ready() for service in started))
            if not stopping.is_set():
                log.info("run.ready", services=[service.name for service in started])
                if on_ready is not None:
                    on_ready()
            await stopping.wait()
            log.info("run.draining")
            await _unless(hurrying, _all(_drain(service) for service in started))
        finally:
            await _all(_stop(service) for service in started)
            log.info("run.stopped")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def _worker(role: str, settings: Settings, neighbours: Neighbours) -> list[Service]:
    """The actor of a stage, what it needs, and what says that it is there."""
    storage = storage_of(settings)
    if role == "ingest":
        return _announced(Ingest(storage, egress_of(settings)), settings, neighbours)
    if role == "fetch":
        egress_of(settings)
        limits = Limits(redis_options(settings), settings.limits, kernel_options(settings))
        fetch = Fetch(storage, settings.fetch, settings.media, settings.egress, limits, settings.storage.min_free_bytes)
        return [limits, *_announced(fetch, settings, neighbours)]
    if role == "store":
        return _announced(Store(storage, settings.storage.min_free_bytes), settings, neighbours)
    return _announced(Notify(notify_log(settings)), settings, neighbours)


def _announced(handler: Handler, settings: Settings, neighbours: Neighbours) -> list[Service]:
    actor = _actor(handler, settings, neighbours)
    return [actor, Announcer(redis_options(settings), actor, installed_version())]


def notify_log(settings: Settings) -> Path | None:
    """The file of the endpoint `log`, None when there is none."""
    return Path(settings.notify.log).expanduser().absolute() if settings.notify.log else None


def _log_endpoint(settings: Settings) -> Service:
    partitions = Partitions(settings.redis.partitions)
    return LogEndpoint(redis_options(settings), partitions, kernel_options(settings), notify_log(settings))


def _actor(handler: Handler, settings: Settings, neighbours: Neighbours) -> Actor:
    stage: StageSettings = getattr(settings, handler.stage)
    options = ActorOptions(
        concurrency=stage.concurrency,
        stall_timeout_s=stage.stall_timeout_s,
        kill_grace_s=stage.kill_grace_s,
        drain_grace_s=stage.drain_grace_s,
    )
    policy = TablePolicy({handler.stage: stage.budget})
    connection: RedisOptions = redis_options(settings)
    partitions = Partitions(settings.redis.partitions)
    return Actor(
        connection, partitions, kernel_options(settings), Coded(handler), policy, options, neighbours=neighbours
    )


async def _drain(service: Service) -> None:
    drain = getattr(service, "drain", None)
    if drain is not None:
        await drain()


async def _stop(service: Service) -> None:
    try:
        await service.stop()
    except Exception:
        log.exception("run.stop_failed", service=service.name)


async def _all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*coroutines)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but give it up as soon as the event happens."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    finally:
        await end_tasks([doing, waiting])


@contextlib.contextmanager
def _signals(react: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
