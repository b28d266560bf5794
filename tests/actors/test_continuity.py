"""When a reaper may conclude from silence that a worker is gone. Clocks are numbers here."""

from dataclasses import replace

import pytest

from actors.reaper.continuity import Answer, Continuity

LEASE_MS = 10_000


class Server:
    """Two clocks that run side by side until a test moves one of them."""

    def __init__(self) -> None:
        self.continuity = Continuity(LEASE_MS)
        self.answer = Answer("primary-1", 1_700_000_000_000, 0.0, 1.0)

    def after(self, ms: float, server_ms: float | None = None, primary: str | None = None) -> bool:
        """One more answer `ms` later by our clock, `server_ms` later by the server's."""
        self.answer = Answer(
            primary or self.answer.primary,
            round(self.answer.server_ms + (ms if server_ms is None else server_ms)),
            self.answer.sent_ms + ms,
            self.answer.received_ms + ms,
        )
        return self.continuity.hear(self.answer)

    def seconds(self, count: int) -> list[bool]:
        return [self.after(1000) for _ in range(count)]


@pytest.fixture
def watched() -> Server:
    """A reaper that has watched long enough."""
    server = Server()
    assert server.seconds(12)[-1]
    return server


def test_a_new_reaper_watches_for_a_whole_lease() -> None:
    server = Server()
    answers = server.seconds(15)
    assert answers[:10] == [False] * 10
    assert all(answers[11:])


def test_answers_at_most_half_a_lease_apart_are_enough() -> None:
    server = Server()
    assert [server.after(4900) for _ in range(4)] == [False, False, False, True]


def test_a_gap_of_more_than_half_a_lease_starts_the_watch_again(watched: Server) -> None:
    assert not watched.after(5100)
    assert not any(watched.seconds(9))
    assert watched.seconds(2)[-1]


def test_a_broken_connection_forgets(watched: Server) -> None:
    watched.continuity.forget()
    assert watched.continuity.last_answer_ms == 0
    assert not any(watched.seconds(10))
    assert watched.seconds(2)[-1]


def test_another_primary_starts_the_watch_again(watched: Server) -> None:
    assert not watched.after(1000, primary="primary-2")
    assert not any(watched.seconds(9))
    assert watched.seconds(2)[-1]


@pytest.mark.parametrize("step_ms", [60_000, 2_500, -2_500, -3_600_000])
def test_a_step_of_the_servers_clock_starts_the_watch_again(watched: Server, step_ms: int) -> None:
    assert not watched.after(1000, server_ms=1000 + step_ms)
    assert not any(watched.seconds(9))
    assert watched.seconds(2)[-1]


def test_a_suspended_machine_starts_the_watch_again(watched: Server) -> None:
    """Our monotonic clock stood still while the server's went on."""
    assert not watched.after(1000, server_ms=3_600_000)


def test_a_stalled_server_starts_the_watch_again(watched: Server) -> None:
    """The server was stopped and answers late: the request was on its way for most of a lease."""
    late = replace(watched.answer, sent_ms=watched.answer.sent_ms + 1000, received_ms=watched.answer.received_ms + 8000)
    assert not watched.continuity.hear(replace(late, server_ms=watched.answer.server_ms + 7900))


def test_a_slow_drift_of_the_clocks_is_noticed() -> None:
    server = Server()
    assert not any(server.after(1000, server_ms=1300) for _ in range(30))


def test_small_differences_are_normal() -> None:
    server = Server()
    answers = [server.after(1000, server_ms=1000 + delta) for delta in (3, -4, 8, -2, 5, -9, 1, 0, 6, -3, 2, 4, 1)]
    assert answers[-1]


def test_the_server_time_of_the_last_answer_is_passed_on(watched: Server) -> None:
    assert watched.continuity.last_answer_ms == watched.answer.server_ms
