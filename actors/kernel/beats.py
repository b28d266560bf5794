"""Heartbeats, in a thread of their own with an event loop and connections of their own.

A busy event loop, a long drain or a slow handler must not look like a dead worker. A job is beaten from the moment
`take` returned until its end has been answered; but not for ever where the actor's loop does not turn any more: then
nobody is left who would notice that its work stands still. Partitions are beaten side by side: on a Redis Cluster a
node that does not answer must not cost the leases that lie elsewhere.
"""

import asyncio
import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog
from redis.exceptions import RedisError

from actors.kernel.address import parse_address
from actors.kernel.connection import FIRST_DELAY_S, LONGEST_DELAY_S, connect, jittered
from actors.kernel.ending import end_tasks
from actors.kernel.handler import Task
from actors.kernel.items import Beat, Pulse
from actors.kernel.keys import Partitions
from actors.kernel.options import KernelOptions, RedisOptions
from actors.kernel.worker import ITEMS_PER_CALL, Worker

REPORT_S = 0.25
"""Shortest time between two beats that carry progress of one job."""

STOPPED_BEATS = 3
"""Beats that this thread has missed when its process was stopped."""

Pulses = Sequence[tuple[Task, Pulse]]
"""What beats were answered."""
log = structlog.get_logger("kernel.beats")


class _Held:
    """One lease that is being renewed. After its making only the thread touches it, `dirty` apart."""

    __slots__ = ("dirty", "partition", "reported_at_s", "task")

    def __init__(self, task: Task, partition: str) -> None:
        self.task = task
        self.partition = partition
        self.reported_at_s = 0.0
        """When progress last travelled."""
        self.dirty = False
        """Progress waits to travel. Set by the event loop of the actor, cleared by the thread."""

    def beat(self, now_s: float) -> Beat:
        task = self.task
        if not self.dirty:
            return Beat(task.job, task.fence)
        self.dirty, self.reported_at_s = False, now_s
        return Beat(task.job, task.fence, task.percent, task.progress)


class Beats:
    """Renews every held lease each `beat_s`.

    Answers that say something are handed to `on_pulses`, which is called in this thread, once for each call of `beat`:
    mostly all is well, and the actor's loop is not woken for that.
    """

    def __init__(
        self,
        redis_options: RedisOptions,
        partitions: Partitions,
        options: KernelOptions,
        on_pulses: Callable[[Pulses], None],
        stuck_after_s: float,
    ) -> None:
        """`stuck_after_s`: a loop that has not turned for so long will not, and its leases are left to run out."""
        self._stuck_after_s = stuck_after_s
        self._redis_options = redis_options
        self._partitions = partitions
        self._options = options
        self._on_pulses = on_pulses
        self._held: dict[Task, _Held] = {}
        self._apart = parse_address(redis_options.url).kind == "cluster"
        """Partitions may have different primaries."""
        self._lock = threading.Lock()
        """Guards `_held` while it is changed or copied."""
        self._stopping = False
        self._beat_at_s = 0.0
        """When every lease is renewed next (monotonic). Written by the thread, and by `hasten`."""
        self.answered_at_s = 0.0
        """When Redis last answered a round of beats, or had none to answer (monotonic). Written by the thread."""
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}
        """Calls under way, one at most for each partition."""
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def start(self) -> None:
        """Called in the loop whose work is beaten."""
        self._owner = asyncio.get_running_loop()
        self._turned_at_s = self._asked_at_s = time.monotonic()
        """When the owner's loop turned last, written by it, and when it was last asked to say so."""
        self._thread.start()

    def hold(self, partition: str, tasks: Sequence[Task]) -> None:
        with self._lock:
            for task in tasks:
                self._held[task] = _Held(task, partition)

    def drop(self, task: Task) -> None:
        with self._lock:
            self._held.pop(task, None)

    def report(self, task: Task) -> None:
        """Progress of `task` changed; it travels within REPORT_S."""
        held = self._held.get(task)
        if held is None or held.dirty:
            return
        held.dirty = True
        self._wake()

    def hasten(self) -> None:
        """Beats now: after a connection break a worker beats before it takes."""
        self._beat_at_s = 0.0
        self._wake()

    def stop(self) -> None:
        """Ends the thread; call it after the last job has ended."""
        self._stopping = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        # The loop is closed once the thread has ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._beat())
        finally:
            self._loop.close()

    async def _beat(self) -> None:
        # Where partitions lie apart, none waits for another's connection.
        client = connect(self._redis_options, connections=self._partitions.count if self._apart else 1)
        self._worker = Worker(client, self._partitions, self._options, "beats")
        try:
            while not self._stopping:
                self._changed.clear()
                wait_s = self._begin()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait_s)
        finally:
            await end_tasks(self._sending.values())
            await client.aclose()

    def _begin(self) -> float:
        """Starts the calls that are due; returns in how many seconds something is due."""
        now_s = time.monotonic()
        everything = now_s >= self._beat_at_s
        if everything:
            self._beat_at_s = now_s + self._options.beat_s
        due: dict[str, list[_Held]] = defaultdict(list)
        next_at_s = self._beat_at_s
        with self._lock:
            leases = list(self._held.values())
        if everything and self._is_stuck(now_s):
            log.error("beats.loop_stuck", leases=len(leases), stuck_s=round(now_s - self._turned_at_s, 1))
            return self._options.beat_s
        for held in leases:
            report_at_s = held.reported_at_s + REPORT_S
            if everything or (held.dirty and now_s >= report_at_s):
                due[held.partition].append(held)
            elif held.dirty:
                next_at_s = min(next_at_s, report_at_s)
        for partition in due.keys() - self._sending.keys():
            self._sending[partition] = asyncio.create_task(self._send(partition, due[partition]))
        if everything and (self._apart or not due):
            # A primary that is away is no reason to leave alone what lies elsewhere.
            self.answered_at_s = now_s
        return max(0.0, next_at_s - now_s)

    def _is_stuck(self, now_s: float) -> bool:
        """Whether the owner's loop has stopped turning, so that nobody watches over its work any more."""
        if now_s - self._asked_at_s > STOPPED_BEATS * self._options.beat_s:
            # This thread did not run either: the process was stopped, or its machine was.
            self._turned_at_s = now_s
        self._asked_at_s = now_s
        with contextlib.suppress(RuntimeError):
            self._owner.call_soon_threadsafe(self._turn)
        return now_s - self._turned_at_s > self._stuck_after_s

    def _turn(self) -> None:
        self._turned_at_s = time.monotonic()

    async def _send(self, partition: str, leases: list[_Held]) -> None:
        """Sends the beats of one partition; after a failure, of all its leases again until they are answered."""
        delay_s = FIRST_DELAY_S
        try:
            while leases:
                try:
                    await self._send_pages(partition, leases)
                except (RedisError, OSError) as error:
                    # Work goes on: only FENCED stops it. The lease may still be renewed in time, or given back.
                    log.warning("beats.unanswered", error=str(error), partition=partition, leases=len(leases))
                else:
                    return
                await asyncio.sleep(jittered(delay_s))
                delay_s = min(delay_s * 2, LONGEST_DELAY_S)
                with self._lock:
                    leases = [held for held in self._held.values() if held.partition == partition]
        finally:
            del self._sending[partition]
            self._changed.set()

    async def _send_pages(self, partition: str, leases: list[_Held]) -> None:
        for first in range(0, len(leases), ITEMS_PER_CALL):
            page = leases[first : first + ITEMS_PER_CALL]
            now_s = time.monotonic()
            try:
                pulses = await self._worker.beat(partition, [held.beat(now_s) for held in page])
            except (RedisError, OSError):
                for held in page:
                    held.dirty = True
                raise
            self.answered_at_s = time.monotonic()
            answers = zip(page, pulses, strict=True)
            told = [(held.task, pulse) for held, pulse in answers if pulse is not Pulse.OK]
            if told:
                self._on_pulses(told)
