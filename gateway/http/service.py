"""The gateway as a service: start, ready, drain, stop."""

import asyncio
from typing import Any

import structlog
from aiohttp import web

from actors.installation import kernel_options, redis_options
from actors.kernel import Keeper, Partitions, Submitter, connect, end_tasks
from actors.kernel.dead import DeadLetters
from actors.kernel.pauses import Pauses
from actors.kernel.replay import Replayer
from actors.places import egress_of, storage_of
from actors.settings import Settings
from gateway.admin.refs import refs_in
from gateway.http.application import build_application
from gateway.http.authentication import Authenticator, installation_key
from gateway.http.context import Context
from gateway.http.duties import hears_events
from gateway.http.health import readiness_of
from gateway.http.limits import most_streams
from gateway.http.listening import stop_listening
from gateway.http.metrics import GatewayMetrics
from gateway.http.protocol import GatewayProtocol
from gateway.http.rate import RateLimiter
from gateway.streams.feed_reader import FeedReader
from gateway.streams.hub import Hub
from gateway.streams.pump import BLOCK_MS, Pump
from gateway.streams.reader import JobReader
from gateway.streams.ring import Ring
from gateway.streams.strangers import Strangers
from gateway.streams.streams import TICK_S, Streams
from gateway.streams.tags import Tags
from gateway.streams.tenant_reader import TenantReader

BACKLOG = 4096
PROTOCOL: dict[str, Any] = {
    "access_log": None,
    # Bodies are taken as they are: an upload is the bytes that were sent, and nothing grows on its way in.
    "auto_decompress": False,
    # Longer than proxies keep their idle connections (nginx: 60 s), or they would send into a closed one.
    "keepalive_timeout": 75.0,
}
READY_POLL_S = 0.02

_log = structlog.get_logger(__name__)


class GatewayService:
    """One HTTP server. `port` and `url` are known after `start`."""

    name = "gateway"

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when the settings cannot be used."""
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.context = _build_context(settings)
        self._hears_events = hears_events(settings.gateway.serve)
        self.port = settings.gateway.port

    @property
    def url(self) -> str:
        """Where the server listens."""
        host = self._settings.gateway.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listens. Raises OSError when the address cannot be used. Redis may still be away: `ready` waits for it."""
        context = self.context
        runner = web.AppRunner(
            build_application(context),
            handle_signals=False,
            # aiohttp waits so long for requests to end, and once more after it has cancelled them.
            shutdown_timeout=self._settings.gateway.shutdown_s / 2,
        )
        self._runner = runner
        await runner.setup()
        self._listener = await self._listen(runner.server)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._tasks = [asyncio.create_task(context.streams.keep_time())]
        if self._hears_events:
            self._tasks.append(asyncio.create_task(context.pump.run()))
        _log.info("gateway.listening", url=self.url)

    async def _listen(self, manager: web.Server | None) -> asyncio.Server:
        if manager is None:
            raise RuntimeError("the runner has not been set up")
        loop = asyncio.get_running_loop()

        def connection() -> GatewayProtocol:
            return GatewayProtocol(manager, loop=loop, **PROTOCOL)

        settings = self._settings.gateway
        return await loop.create_server(connection, settings.host, settings.port, backlog=BACKLOG, reuse_address=True)

    async def ready(self) -> None:
        """Returns when requests can be served."""
        if self._hears_events:
            await self.context.pump.started.wait()
        while not (await readiness_of(self.context)).ready:  # noqa: ASYNC110 - Redis sends no event when it is back
            await asyncio.sleep(READY_POLL_S)

    async def drain(self) -> None:
        """Not ready any more; every stream is asked to come back, every waiting request is answered."""
        context = self.context
        context.streams.drain()
        for partition in context.partitions:
            context.hub.lose(partition)

    async def stop(self) -> None:
        """Ends: the listener first, once who waits for it is heard; requests within `gateway.shutdown_s`."""
        if not self.context.streams.draining:
            await self.drain()
        if self._listener is not None:
            await stop_listening(self._listener)
        if self._runner is not None:
            await self._runner.cleanup()
        await end_tasks(self._tasks)
        await self.context.pump.close()
        await self.context.redis.aclose()


def _build_context(settings: Settings) -> Context:
    options = redis_options(settings)
    kernel = kernel_options(settings)
    partitions = Partitions(settings.redis.partitions)
    client = connect(options)
    metrics = GatewayMetrics()
    hub = Hub({partition: Ring(settings.gateway.ring_events, settings.gateway.ring_bytes) for partition in partitions})
    # The pump's blocking read would hold up whoever shared its connection.
    pump_client = connect(options, block_s=BLOCK_MS / 1000, connections=partitions.count)
    storage = storage_of(settings)
    submitter, keeper = Submitter(client, partitions, kernel), Keeper(client, partitions, kernel)
    return Context(
        settings=settings,
        kernel=kernel,
        authenticator=Authenticator(installation_key(settings)),
        metrics=metrics,
        redis=client,
        partitions=partitions,
        submitter=submitter,
        storage=storage,
        egress=egress_of(settings),
        hub=hub,
        pump=Pump(pump_client, partitions, hub, feed_length=kernel.feed_length),
        reader=JobReader(client, partitions),
        tenant_reader=TenantReader(client, partitions, kernel.retention_s),
        feed_reader=FeedReader(client, partitions),
        tags=Tags(client, partitions),
        strangers=Strangers(),
        streams=Streams(
            most_streams(settings.gateway.max_streams), metrics, tick_s=min(TICK_S, settings.gateway.heartbeat_s / 4)
        ),
        dead=DeadLetters(client, partitions),
        replayer=Replayer(client, partitions, submitter, keeper, refs_in(storage)),
        keeper=keeper,
        pauses=Pauses(client, partitions),
        rate=RateLimiter(settings.gateway.rate_requests, settings.gateway.rate_window_s)
        if settings.gateway.rate_requests
        else None,
    )
