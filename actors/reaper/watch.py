"""Listening to the primary of one partition, the condition for ending leases there."""

import time

from redis.asyncio import Redis

from actors.kernel.server import primary_of
from actors.reaper.continuity import Answer, Continuity


class Watch:
    """What this reaper knows of one partition's primary. `listen` is called at the begin of every pass."""

    def __init__(self, client: Redis, key: str, lease_ms: int) -> None:
        self._client = client
        self._key = key
        """A key of the partition: who serves it is listened to."""
        self._continuity = Continuity(lease_ms)
        self.proven = False
        """Whether silence of a worker proves something: this primary was heard of for a whole lease without a gap."""

    @property
    def heard_ms(self) -> int:
        """Server time of the last answer, for `reap`."""
        return self._continuity.last_answer_ms

    async def listen(self) -> None:
        sent_ms = time.monotonic() * 1000
        moment = await primary_of(self._client, self._key)
        answer = Answer(moment.primary, moment.server_ms, sent_ms, time.monotonic() * 1000)
        self.proven = self._continuity.hear(answer)

    def forget(self) -> None:
        """The connection broke, or the server said that the last answer is too old."""
        self._continuity.forget()
        self.proven = False
