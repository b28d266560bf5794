"""What handlers need, made once by the service and handed to them through the application."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import redis.asyncio
from aiohttp import web

from actors.egress import EgressPolicy
from actors.kernel import Keeper, KernelOptions, Partitions, Submitter
from actors.kernel.dead import DeadLetters
from actors.kernel.pauses import Pauses
from actors.kernel.replay import Replayer
from actors.settings import Settings
from actors.storage import Storage
from gateway.http.authentication import Authenticator
from gateway.http.metrics import GatewayMetrics
from gateway.http.rate import RateLimiter, Standing
from gateway.principal import Principal
from gateway.streams.connection import Bounds, Connection, Follower, Session
from gateway.streams.feed_reader import FeedReader
from gateway.streams.hub import Hub
from gateway.streams.pump import Pump
from gateway.streams.reader import JobReader
from gateway.streams.strangers import Strangers
from gateway.streams.streams import Streams
from gateway.streams.tags import Tags
from gateway.streams.tenant_reader import TenantReader
from gateway.streams.wire import Wire


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one gateway."""

    settings: Settings
    kernel: KernelOptions
    authenticator: Authenticator
    metrics: GatewayMetrics
    redis: redis.asyncio.Redis
    partitions: Partitions
    submitter: Submitter
    storage: Storage
    egress: EgressPolicy
    hub: Hub
    pump: Pump
    reader: JobReader
    tenant_reader: TenantReader
    feed_reader: FeedReader
    tags: Tags
    strangers: Strangers
    streams: Streams
    dead: DeadLetters
    replayer: Replayer
    keeper: Keeper
    pauses: Pauses
    rate: RateLimiter | None
    """None: requests are not limited."""
    bounds: Bounds = field(default_factory=Bounds)

    def connection(self, wire: Wire, session: Session, followed: Mapping[str, Follower]) -> Connection:
        """One more client's; `session` is told what happens on it, and keeps `followed`: what is shown there."""
        settings = self.settings.gateway
        return Connection(
            wire,
            self.bounds,
            self.streams.outbox,
            session,
            followed,
            life_s=settings.stream_life_s,
            heartbeat_s=settings.heartbeat_s,
        )


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
STANDING: web.RequestKey[Standing] = web.RequestKey("standing", Standing)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)


def context_of(request: web.Request) -> Context:
    """The gateway that serves this request."""
    return request.app[CONTEXT]


def principal_of(request: web.Request) -> Principal:
    """Who asks; the authentication has put it there."""
    return request[PRINCIPAL]
