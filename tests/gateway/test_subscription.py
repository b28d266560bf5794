"""What one subscription writes to its connection, and when the connection is taken for slow."""

import asyncio
from typing import Any, cast

from actors.kernel import StoreUnavailable
from gateway.streams.channel import Channel
from gateway.streams.connection import Bounds, Connection
from gateway.streams.outbox import Outbox
from gateway.streams.subscription import Subscription
from gateway.streams.tenant_watch import TenantWatch
from gateway.streams.wake import Wake
from gateway.streams.watch import JobWatch
from gateway.streams.wire import SSE
from tests.gateway.events import event, pulse


class FullSocket:
    """A transport whose peer reads nothing until it is told to."""

    def __init__(self) -> None:
        self.unsent = 0
        self.writes = 0
        self.broken = False
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("the socket is broken")
        self.writes += 1
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted = True


class Following:
    """A channel that is never asked to read."""

    ended = False
    topic = "j00-a"
    partition = "00"

    def __init__(self) -> None:
        self.watch = JobWatch()


def subscribed(outbox: Outbox | None = None) -> tuple[Subscription, FullSocket]:
    socket = FullSocket()
    followed: dict[str, Subscription] = {}
    connection = Connection(SSE, Bounds(), outbox or Outbox(), Wake(), followed, life_s=60, heartbeat_s=15)
    connection.attach(cast(asyncio.Transport, socket))
    subscription = followed[""] = Subscription("", cast(Channel, Following()), connection)
    subscription.open()
    return subscription, socket


async def end_of_turn() -> None:
    """What was sent has left."""
    await asyncio.sleep(0)


def large(rev: int) -> Any:
    return event(rev, data=b'{"text":"' + b"x" * 4000 + b'"}')


async def test_what_was_missed_is_written_in_one_piece_however_large_it_is() -> None:
    subscription, socket = subscribed()
    subscription.show([large(rev) for rev in range(1, 201)])
    assert socket.unsent > 2 * Bounds().hard_bytes
    assert not subscription.connection.slow
    assert subscription.connection.behind


async def test_behind_nothing_is_written_and_everything_comes_once_it_has_drained() -> None:
    subscription, socket = subscribed()
    subscription.show([large(rev) for rev in range(1, 21)])
    cast(JobWatch, subscription.watch).show(20, 0.0, 0, None)
    before = socket.unsent
    for rev in range(21, 31):
        subscription.event(large(rev))
    await end_of_turn()
    assert socket.unsent == before
    subscription.connection.look(asyncio.get_running_loop().time())
    assert socket.unsent == before, "it has not drained"
    socket.unsent = 0
    subscription.connection.look(asyncio.get_running_loop().time())
    await end_of_turn()
    assert socket.unsent > 10 * 4000
    assert not socket.aborted


async def test_nothing_is_shown_before_the_opening_even_if_the_socket_drains_meanwhile() -> None:
    subscription, socket = subscribed()
    later = Subscription("later", cast(Channel, Following()), subscription.connection)
    later.event(event(1))
    later.release()
    await end_of_turn()
    assert socket.writes == 0
    later.open()
    await end_of_turn()
    assert socket.writes == 1


async def test_a_session_is_woken_when_there_is_something_to_do_and_not_for_each_event() -> None:
    subscription, _ = subscribed()
    wake = cast(Wake, subscription.connection._session)
    subscription.event(event(1))
    subscription.pulse(pulse(1, 5.0))
    assert not wake._is_called
    subscription.event(event(3))
    assert wake._is_called


async def test_what_is_sent_in_one_turn_is_written_at_once() -> None:
    subscription, socket = subscribed()
    for rev in range(1, 6):
        subscription.event(event(rev))
    assert socket.writes == 0
    await end_of_turn()
    assert socket.writes == 1
    subscription.event(event(6))
    subscription.connection.flush()
    subscription.event(event(7))
    await end_of_turn()
    assert socket.writes == 3, "what is flushed early, and what is sent behind it"
    for rev in range(8, 28):
        subscription.event(large(rev))
        await end_of_turn()
        socket.unsent = 0
    assert socket.writes == 23
    subscription.event(event(28))
    subscription.event(event(29))
    assert socket.writes == 23, "what turns before it sent does not count"


async def test_a_socket_that_takes_nothing_is_given_up_however_much_it_is_told_meanwhile() -> None:
    subscription, socket = subscribed()
    connection = subscription.connection
    subscription.show([large(rev) for rev in range(1, 21)])
    assert connection.behind
    connection._moved_at_s -= Bounds().stall_s
    connection.send(b"an answer")
    connection.flush()
    connection.look(asyncio.get_running_loop().time())
    assert socket.aborted
    assert connection.slow


async def test_a_stall_begins_when_the_socket_falls_behind_and_not_before() -> None:
    subscription, socket = subscribed()
    connection = subscription.connection
    connection._moved_at_s -= 10 * Bounds().stall_s
    subscription.show([large(rev) for rev in range(1, 21)])
    assert connection.behind
    connection.look(asyncio.get_running_loop().time())
    assert not socket.aborted
    written = socket.writes
    connection.tick(asyncio.get_running_loop().time() + 21)
    await end_of_turn()
    assert socket.writes == written, "nor is a sign of life written behind what does not leave"


async def test_the_first_reason_to_leave_is_the_one_that_is_told() -> None:
    subscription, _ = subscribed()
    subscription.connection.leave("unavailable")
    subscription.connection.leave("lifetime")
    assert subscription.connection.leave_reason == "unavailable"


async def test_a_sign_of_life_is_given_when_it_is_due() -> None:
    subscription, socket = subscribed()
    now_s = asyncio.get_running_loop().time()
    subscription.connection.tick(now_s + 14)
    await end_of_turn()
    assert socket.writes == 0
    subscription.connection.tick(now_s + 21)
    await end_of_turn()
    assert socket.writes == 1


async def test_a_closed_socket_wakes_its_session_as_soon_as_something_is_written() -> None:
    subscription, socket = subscribed()
    socket.aborted = True
    subscription.event(event(1))
    async with asyncio.timeout(5):
        await cast(Wake, subscription.connection._session).sleep()
    assert subscription.connection.gone


async def test_a_connection_that_is_given_up_is_gone_at_once() -> None:
    subscription, socket = subscribed()
    subscription.abort()
    assert subscription.connection.gone
    assert socket.aborted
    never_attached = Connection(SSE, Bounds(), Outbox(), Wake(), {}, life_s=60, heartbeat_s=15)
    never_attached.abort()
    assert never_attached.gone


async def test_a_turn_that_sends_much_writes_and_holds_in_the_middle_of_it() -> None:
    subscription, socket = subscribed()
    for rev in range(1, 101):
        subscription.event(large(rev))
    assert subscription.connection.behind
    assert socket.unsent < 2 * Bounds().soft_bytes
    assert not socket.aborted


async def test_nothing_is_written_behind_the_last() -> None:
    subscription, socket = subscribed()
    connection = subscription.connection
    subscription.event(event(1))
    connection.end(b"bye")
    assert socket.writes == 1, "with what was sent before it"
    subscription.event(event(2))
    connection.tick(float("inf"))
    connection.look(0.0)
    await end_of_turn()
    assert socket.writes == 1


async def test_a_broken_connection_keeps_no_other_from_its_bytes() -> None:
    outbox = Outbox()
    one, broken, other = (subscribed(outbox) for _ in range(3))
    broken[1].broken = True
    for subscription, _ in (one, broken, other):
        subscription.event(event(1))
    await end_of_turn()
    assert (one[1].writes, other[1].writes) == (1, 1)
    assert broken[1].aborted
    one[0].event(event(2))
    await end_of_turn()
    assert one[1].writes == 2


async def test_more_than_the_bound_beside_what_is_unsent_is_given_up() -> None:
    subscription, socket = subscribed()
    connection = subscription.connection
    connection.send(b"x" * 100_000)
    connection.send(b"x" * 100_000)
    assert not socket.aborted
    connection.send(b"x" * 100_000)
    assert socket.aborted
    assert connection.slow


async def test_a_socket_that_takes_nothing_is_given_up_after_a_while() -> None:
    subscription, socket = subscribed()
    connection, now_s = subscription.connection, asyncio.get_running_loop().time()
    connection.send(b"x" * 100_000)
    connection.look(now_s + 14.0)
    socket.unsent -= 1
    connection.look(now_s + 14.5)
    connection.look(now_s + 29.0)
    assert not socket.aborted, "it has taken something meanwhile"
    connection.look(now_s + 30.0)
    assert socket.aborted
    assert connection.slow


async def test_what_arrives_while_redis_is_away_is_not_shown_behind_a_gap() -> None:
    """A tenant's events have no number that would show that some are missing."""
    subscription, socket = subscribed()
    connection = subscription.connection
    watch = TenantWatch(lambda _job: True)

    class Away(Following):
        async def catch_up(self) -> list[Any]:
            watch.begin_reading()
            subscription.event(event(9))
            raise StoreUnavailable("away")

    channel = Away()
    channel.watch = watch  # type: ignore[assignment]
    subscription = Subscription("", cast(Channel, channel), connection)
    watch.resume("e1", "1001-0")
    subscription.open()
    subscription.event(event(2))
    await end_of_turn()
    shown = socket.unsent
    assert shown
    watch.must_read = True
    await subscription.catch_up()
    assert connection.leave_reason == "unavailable"
    subscription.release()
    subscription.event(event(10))
    await end_of_turn()
    assert socket.unsent == shown
    assert watch.entry == "1002-0"
