"""What leaves together, counted in calls and turns of the event loop; no server and no clock is involved."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog

from actors.kernel import End, Release
from actors.kernel.gather import CALLS_IN_FLIGHT, Gather
from actors.kernel.worker import ITEMS_PER_CALL


class Server:
    """Keeps calls until they are answered by the test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        """Partition and jobs of each call."""
        self._answers: list[asyncio.Future[None]] = []
        self.gather = Gather[Release](self._send)

    async def _send(self, partition: str, items: Sequence[Release]) -> list[End]:
        self.calls.append((partition, [item.job for item in items]))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        await answer
        return [End.OK for _ in items]

    @property
    def sizes(self) -> list[int]:
        return [len(jobs) for _, jobs in self.calls]

    def add(self, count: int, partition: str = "00") -> list[End | Exception]:
        """Ends so many leases in this turn; the list fills with the answers."""
        heard: list[End | Exception] = []
        for number in range(count):
            self.gather.add(partition, Release(f"{partition}-{number}", "1.n", b"{}"), heard.append)
        return heard

    async def answer(self, number: int, error: Exception | None = None) -> None:
        if error is None:
            self._answers[number].set_result(None)
        else:
            self._answers[number].set_exception(error)
        await turns()


async def turns() -> None:
    """As many as any answer needs to be heard and followed by a call."""
    for _ in range(6):
        await asyncio.sleep(0)


async def test_what_ends_in_one_turn_travels_in_one_call() -> None:
    server = Server()
    heard = server.add(ITEMS_PER_CALL)
    await turns()
    assert server.sizes == [ITEMS_PER_CALL]
    await server.answer(0)
    assert heard == [End.OK] * ITEMS_PER_CALL


async def test_what_ends_in_the_turn_in_which_the_call_begins_travels_with_it() -> None:
    server = Server()
    asyncio.get_running_loop().call_soon(server.add, 3)
    server.add(1)
    await turns()
    assert server.sizes == [4]


async def test_a_lone_item_leaves_in_the_next_turn() -> None:
    server = Server()
    server.add(1)
    await asyncio.sleep(0)
    assert server.sizes == [1]


async def test_while_a_call_is_in_flight_others_gather_and_leave_with_its_answer() -> None:
    server = Server()
    server.add(1)
    await turns()
    for _ in range(7):
        server.add(1)
        await turns()
    assert server.sizes == [1]
    await server.answer(0)
    assert server.sizes == [1, 7]


async def test_a_full_page_does_not_wait_and_four_calls_are_the_most() -> None:
    server = Server()
    server.add(1)
    await turns()
    heard = server.add(5 * ITEMS_PER_CALL + 2)
    await turns()
    assert server.sizes == [1, *[ITEMS_PER_CALL] * (CALLS_IN_FLIGHT - 1)]
    await server.answer(0)
    await server.answer(1)
    assert server.sizes == [1, *[ITEMS_PER_CALL] * 5]
    await server.answer(2)
    assert server.sizes[6:] == [], "two are no page, and leave when nothing of their partition is in flight"
    for number in (3, 4, 5):
        await server.answer(number)
    assert server.sizes[6:] == [2]
    await server.answer(6)
    assert heard == [End.OK] * (5 * ITEMS_PER_CALL + 2)


async def test_a_partition_without_an_answer_holds_up_no_other() -> None:
    server = Server()
    for _ in range(5):
        server.add(3, "00")
        await turns()
    heard = server.add(2, "01")
    await turns()
    assert server.calls[1:] == [("01", ["01-0", "01-1"])]
    await server.answer(1)
    assert heard == [End.OK, End.OK]


async def test_partitions_take_turns() -> None:
    """More of them than calls may be in flight, and the first never runs out of work."""
    server = Server()
    names = [f"{number:02d}" for number in range(CALLS_IN_FLIGHT + 2)]
    for name in names:
        server.add(3 * ITEMS_PER_CALL, name)
    await turns()
    for number in range(len(names)):
        await server.answer(number)
    assert {partition for partition, _ in server.calls} == set(names)


async def test_an_error_that_is_no_wait_is_heard_by_all_and_by_no_later_item() -> None:
    server = Server()
    heard = server.add(2)
    await turns()
    later = server.add(1)
    error = ValueError("x")
    await server.answer(0, error)
    assert heard == [error, error]
    await server.answer(1)
    assert later == [End.OK]


async def test_a_lost_reply_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.kernel.connection.FIRST_DELAY_S", 0.0)
    server = Server()
    heard = server.add(2)
    await turns()
    await server.answer(0, ConnectionResetError())
    assert heard == []
    await server.answer(1)
    assert server.calls == [("00", ["00-0", "00-1"])] * 2
    assert heard == [End.OK] * 2


async def test_one_listener_that_fails_costs_no_other_its_answer() -> None:
    server = Server()

    def fail(_: object) -> None:
        raise KeyError("x")

    server.gather.add("00", Release("j", "1.n", b"{}"), fail)
    heard = server.add(1)
    await turns()
    with structlog.testing.capture_logs() as logs:
        await server.answer(0)
    assert heard == [End.OK]
    assert [entry["event"] for entry in logs] == ["end.unheard"]


async def test_what_is_closed_is_ended_and_sends_nothing_more() -> None:
    server = Server()
    heard = server.add(1)
    await turns()
    server.add(1)
    await server.gather.close()
    server.add(1)
    await turns()
    assert (server.sizes, heard) == ([1], [])


async def test_an_end_can_be_waited_for() -> None:
    server = Server()
    ending = asyncio.create_task(server.gather.end("00", Release("j", "1.n", b"{}")))
    await turns()
    await server.answer(0)
    assert await ending is End.OK
