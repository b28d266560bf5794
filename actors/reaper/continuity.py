"""Whether a reaper may conclude from silence that a worker is gone.

It may, once the same primary has answered at least every half lease for a whole lease, and the
server's clock has advanced as the reaper's own monotonic clock did. After a stall of Redis, of the
network or of this machine, and after a step of a clock, live workers had no chance to beat, so the
reaper watches for a whole lease again.
"""

from dataclasses import dataclass

CLOCK_TOLERANCE = 0.1
"""Part of a lease by which the two clocks may differ within one lease."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of Redis: who gave it, the server's clock in ms, and our clock before and after, in ms."""

    primary: str
    server_ms: int
    sent_ms: float
    received_ms: float


class Continuity:
    """Judges a sequence of answers. Pure: the caller brings the clocks."""

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._first: Answer | None = None
        self._last: Answer | None = None

    @property
    def last_answer_ms(self) -> int:
        """Server time of the last answer, 0 when there is none."""
        return 0 if self._last is None else self._last.server_ms

    def forget(self) -> None:
        """A connection broke: what was heard over it proves nothing about now."""
        self._first = self._last = None

    def hear(self, answer: Answer) -> bool:
        """Take an answer in; True when the time up to it is known without a gap for a whole lease."""
        if self._last is None or not self._follows(self._last, answer):
            self._first = answer
        self._last = answer
        first = self._first or answer
        if not self._in_step(first, answer):
            self._first = answer
            return False
        # Both clocks must have seen the whole lease.
        return min(answer.server_ms - first.server_ms, answer.sent_ms - first.received_ms) >= self._lease_ms

    def _follows(self, before: Answer, answer: Answer) -> bool:
        gap_ms = max(answer.received_ms - before.received_ms, answer.server_ms - before.server_ms)
        return before.primary == answer.primary and gap_ms <= self._lease_ms / 2 and self._in_step(before, answer)

    def _in_step(self, before: Answer, answer: Answer) -> bool:
        """The server read its clock somewhere between sending and receiving."""
        server_ms = answer.server_ms - before.server_ms
        tolerance_ms = self._lease_ms * CLOCK_TOLERANCE
        least_ms = answer.sent_ms - before.received_ms - tolerance_ms
        most_ms = answer.received_ms - before.sent_ms + tolerance_ms
        return least_ms <= server_ms <= most_ms
