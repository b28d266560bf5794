"""Where the jobs of a run stand, read from Redis over and over through a way of the driver's own.

Jobs that have not ended are looked at ten times a second, all of them once a second: an end can be undone by a power
failure, so nothing counts as over before all have ended in one and the same round.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable

import redis.asyncio
from redis.exceptions import RedisError

from actors.kernel import TERMINAL, Partitions
from tests.faults.history import now_s

ROUND_S, FULL_ROUND_S = 0.1, 1.0
JOBS_PER_CALL = 100
MISSING = ""
"""The state of a job that is not there."""
Listener = Callable[[str], None]
_SCRIPT = """
local states = {}
for index, key in ipairs(KEYS) do states[index] = redis.call('HGET', key, 'state') or '' end
return states
"""


class Board:
    """What was read last of every job that somebody follows."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions) -> None:
        self._client = client
        self._partitions = partitions
        self._listeners: dict[str, Listener] = {}
        self._states: dict[str, str | None] = {}
        """None: not read yet, or not since something was asked for it."""
        self._asked: dict[str, int] = {}
        """How often something was asked for a job: an answer that was under way meanwhile is out of date."""
        self._full_round = asyncio.Event()
        self.all_ended_at_s: float | None = None
        """When the last full round began, if every job was found ended in it and nothing was asked for since."""

    def follow(self, job: str, listener: Listener) -> None:
        """The listener hears each state that is new, MISSING as well."""
        self._listeners[job] = listener
        self.look_again(job)

    def forget(self, job: str) -> None:
        self._listeners.pop(job, None)
        self._states.pop(job, None)
        self._asked.pop(job, None)

    def look_again(self, job: str) -> None:
        """What is known of the job may be out of date: it was asked for something."""
        self._states[job] = None
        self._asked[job] = self._asked.get(job, 0) + 1
        self.all_ended_at_s = None

    def state(self, job: str) -> str | None:
        """As last read; None: not known."""
        return self._states.get(job)

    async def next_full_round(self) -> None:
        """Returns when all jobs have been read once more."""
        self._full_round.clear()
        await self._full_round.wait()

    async def run(self) -> None:
        """Reads until it is cancelled. While Redis does not answer nothing is known to have changed."""
        full_at_s = 0.0
        while True:
            began_s = now_s()
            full = began_s >= full_at_s
            jobs = [job for job, state in self._states.items() if full or state not in TERMINAL]
            known = set(jobs)
            with contextlib.suppress(RedisError, OSError):
                await self._read(jobs)
                if full:
                    full_at_s = began_s + FULL_ROUND_S
                    ended = all(job in known and state in TERMINAL for job, state in self._states.items())
                    self.all_ended_at_s = began_s if ended else None
                    self._full_round.set()
            await asyncio.sleep(ROUND_S)

    async def _read(self, jobs: list[str]) -> None:
        pages: dict[str, list[str]] = defaultdict(list)
        for job in jobs:
            pages[self._partitions.of_job(job)].append(job)
        for partition, its in pages.items():
            keys = self._partitions.keys(partition)
            for first in range(0, len(its), JOBS_PER_CALL):
                page = its[first : first + JOBS_PER_CALL]
                asked = [self._asked.get(job) for job in page]
                states = await self._client.execute_command("EVAL", _SCRIPT, len(page), *map(keys.job, page))  # type: ignore[no-untyped-call]
                for job, state, times in zip(page, states, asked, strict=True):
                    if self._asked.get(job) == times:
                        self._saw(job, state.decode())

    def _saw(self, job: str, state: str) -> None:
        listener = self._listeners.get(job)
        if listener is None or self._states.get(job) == state:
            return
        self._states[job] = state
        listener(state)
