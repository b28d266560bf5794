"""What happens on one WebSocket whose client is known: it subscribes, hears, and leaves or is asked to."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import msgspec
import structlog
from aiohttp import WSMessage, WSMsgType, web

from actors.kernel import StoreUnavailable, UnknownJobId
from gateway.http.context import Context
from gateway.http.problems import Problem
from gateway.principal import Principal
from gateway.streams.channel import Channel, NothingNew
from gateway.streams.cursor import parse_cursor
from gateway.streams.events import Snapshot
from gateway.streams.job_channel import JobChannel
from gateway.streams.messages import (
    Auth,
    Close,
    JobTopic,
    Ping,
    Pong,
    Resume,
    Subscribe,
    Unsubscribe,
    read_message,
    read_topic,
)
from gateway.streams.replies import Bye, Hello, PongSent, Refusal, Reply, Subscribed, TopicEnded, Unsubscribed
from gateway.streams.subscription import Subscription
from gateway.streams.tenant_channel import TenantChannel
from gateway.streams.wire import WEBSOCKET

MOST_SUBSCRIPTIONS = 128
MOST_MISTAKES = 16
"""Messages without meaning that a client may send before it is given up."""
_CLOSES: Mapping[str, Close] = {
    "lifetime": Close.LIFETIME,
    "draining": Close.DRAINING,
    "unavailable": Close.UNAVAILABLE,
}

_log = structlog.get_logger(__name__)


class Session:
    """Lives as long as its connection. Messages are answered in their order; events come in between."""

    __slots__ = (
        "_began_s", "_connection", "_context", "_is_asked_again", "_is_over", "_mistakes", "_principal", "_service",
        "_socket", "_subscriptions",
    )  # fmt: skip

    def __init__(
        self, context: Context, principal: Principal, socket: web.WebSocketResponse, transport: asyncio.Transport | None
    ) -> None:
        self._context = context
        self._principal = principal
        self._socket = socket
        self._subscriptions: dict[str, Subscription] = {}
        """By the names that the client gave."""
        self._connection = context.connection(WEBSOCKET, self, self._subscriptions)
        self._connection.attach(transport)
        self._began_s = asyncio.get_running_loop().time()
        self._mistakes = 0
        self._service: asyncio.Task[None] | None = None
        """Does what the connection asked for; there only while there is something to do."""
        self._is_asked_again = False
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._context.streams.add(self._connection)
        self._say(Hello(self._context.settings.gateway.heartbeat_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._is_over = True
        self._context.streams.remove(self._connection)
        for subscription in tuple(self._subscriptions.values()):
            self._drop(subscription)
        if self._service is not None:
            await self._service
        lasted_s = asyncio.get_running_loop().time() - self._began_s
        self._context.metrics.stream_seconds.labels("ws").observe(lasted_s)

    async def hear(self, message: WSMessage) -> bool:
        """Answers a message. False: this was the last one, or the client was given up."""
        self._connection.heard()
        if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}:
            return False
        if message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            await self._answer(message)
        if self._mistakes > MOST_MISTAKES:
            self._bye(Close.UNINTELLIGIBLE, "unintelligible", None)
            await self._socket.close(code=Close.UNINTELLIGIBLE)
        return not self._connection.gone

    async def _answer(self, message: WSMessage) -> None:
        try:
            said = read_message(message.data if message.type is WSMsgType.TEXT else "")
            match said:
                case Subscribe() | Resume():
                    await self._subscribe(said)
                case Unsubscribe():
                    if subscription := self._subscriptions.get(said.id):
                        self._drop(subscription)
                    self._say(Unsubscribed(said.id))
                case Ping():
                    self._say(PongSent())
                case Pong() | Auth():
                    pass
        except ValueError as error:
            self._mistakes += 1
            self._fail(None, Problem("INVALID_MESSAGE", detail=str(error)))

    async def _subscribe(self, said: Subscribe | Resume) -> None:
        try:
            if said.id in self._subscriptions:
                raise Problem("SUBSCRIPTION_EXISTS")
            if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
                raise Problem("TOO_MANY_SUBSCRIPTIONS")
            subscription = Subscription(said.id, self._channel(said.topic), self._connection)
            # Registered before anything is read, so that nothing falls between the two.
            self._subscriptions[said.id] = subscription
            self._context.hub.watch(subscription.channel.topic, subscription)
            try:
                await self._open(subscription, said)
            except BaseException:
                self._drop(subscription)
                raise
        except UnknownJobId:
            self._fail(said.id, Problem("JOB_NOT_FOUND"))
        except ValueError as error:
            self._mistakes += 1
            self._fail(said.id, Problem("INVALID_MESSAGE", detail=str(error)))
        except StoreUnavailable:
            self._fail(said.id, Problem("STORE_UNAVAILABLE"))
        except Problem as problem:
            self._fail(said.id, problem)

    def _channel(self, topic: str) -> Channel:
        wanted = read_topic(topic)
        if isinstance(wanted, JobTopic):
            return JobChannel(self._context, self._principal, wanted.job)
        return TenantChannel(self._context, self._principal, wanted.tag)

    async def _open(self, subscription: Subscription, said: Subscribe | Resume) -> None:
        opening = await subscription.channel.open(parse_cursor(said.since))
        if isinstance(opening, NothingNew):
            self._context.metrics.openings.labels("ended").inc()
            self._say(Subscribed(said.id, said.topic, recovered=True, snapshot=None))
            self._end(subscription)
            return
        self._context.metrics.openings.labels(opening.source).inc()
        items = list(opening.items)
        first = items.pop(0) if items and isinstance(items[0], Snapshot) else None
        snapshot = None if first is None else msgspec.Raw(first.envelope)
        self._say(Subscribed(said.id, said.topic, opening.recovered, snapshot))
        subscription.show(items)
        subscription.open()

    def call(self) -> None:
        """There is something to do."""
        self._is_asked_again = True
        if self._service is None and not self._is_over:
            self._service = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            while self._is_asked_again and not self._connection.gone:
                self._is_asked_again = False
                if self._connection.leave_reason:
                    await self._leave()
                    return
                for subscription in tuple(self._subscriptions.values()):
                    await self._look_after(subscription)
        except Exception:  # noqa: BLE001 - nobody awaits this task while the connection lives
            _log.exception("stream.failed", transport="ws")
            self._connection.abort()
        finally:
            self._service = None

    async def _look_after(self, subscription: Subscription) -> None:
        if not subscription.is_open:
            return
        if subscription.channel.ended:
            self._end(subscription)
        elif subscription.wants_reading and not self._connection.behind:
            await subscription.catch_up()
            # An end that was shown just now, or more to read, is for the next round.
            self._is_asked_again = True

    def _end(self, subscription: Subscription) -> None:
        end = subscription.channel.end
        if self._drop(subscription) and end is not None:
            self._say(TopicEnded(subscription.name, end.job, end.state))

    def _drop(self, subscription: Subscription) -> bool:
        """Whether it was still there."""
        self._context.hub.forget(subscription.channel.topic, subscription)
        is_there = self._subscriptions.get(subscription.name) is subscription
        if is_there:
            del self._subscriptions[subscription.name]
        return is_there

    async def _leave(self) -> None:
        reason = self._connection.leave_reason
        code = _CLOSES[reason]
        self._bye(code, reason, self._context.streams.retry_ms())
        try:
            async with asyncio.timeout(self._context.bounds.end_s(draining=self._context.streams.draining)):
                await self._socket.close(code=code)
        except TimeoutError:
            self._connection.abort()

    def _fail(self, name: str | None, problem: Problem) -> None:
        self._say(Refusal(name, problem.code, problem.detail, problem.suggestion))

    def _bye(self, code: Close, reason: str, retry_ms: int | None) -> None:
        self._connection.end(WEBSOCKET.message(Bye(code, reason, retry_ms)))

    def _say(self, reply: Reply) -> None:
        self._connection.send(WEBSOCKET.message(reply))
