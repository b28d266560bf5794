"""Listening to the primary of one partition, the condition for ending leases there."""

import time

from redis.asyncio import Redis

from actors.kernel.server import primary_of
from actors.reaper.continuity import Answer, Continuity

LEAST_PAUSE_S = 0.05
"""Between two passes, so that a lease is over when the second one looks."""


class Watch:
    """What this reaper knows of one partition's primary. `listen` is called at the begin of every pass."""

    def __init__(self, client: Redis, key: str, lease_ms: int) -> None:
        self._client = client
        self._key = key
        """A key of the partition: who serves it is listened to."""
        self._continuity = Continuity(lease_ms)
        self.proven = False
        """Whether silence of a worker proves something: this primary was heard of for a whole lease without a gap."""
        self.next_end_ms: float | None = None
        """Server time at which the partition's first lease ends. Written by the duty `leases`, valid for one pass."""

    @property
    def heard_ms(self) -> int:
        """Server time of the last answer, for `reap`."""
        return self._continuity.last_answer_ms

    async def listen(self) -> None:
        self.next_end_ms = None
        sent_ms = time.monotonic() * 1000
        moment = await primary_of(self._client, self._key)
        answer = Answer(moment.primary, moment.server_ms, sent_ms, time.monotonic() * 1000)
        self.proven = self._continuity.hear(answer)

    def pause_s(self, interval_s: float) -> float:
        """How long to wait for the next pass: `interval_s`, or until the first lease ends where that is sooner."""
        if self.next_end_ms is None:
            return interval_s
        return min(max(self.next_end_ms - self.heard_ms, 0.0) / 1000 + LEAST_PAUSE_S, interval_s)

    def forget(self) -> None:
        """The connection broke, or the server said that the last answer is too old."""
        self._continuity.forget()
        self.proven = False
        self.next_end_ms = None
