"""Heartbeats, in a thread of their own with a connection of their own.

A busy event loop, a long drain or a slow handler must not look like a dead worker. A job is beaten from the moment
`take` returned until its end has been answered.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from actors.kernel.connection import FIRST_DELAY_S, LONGEST_DELAY_S, connect_blocking, jittered
from actors.kernel.handler import Task
from actors.kernel.keys import Partitions
from actors.kernel.options import KernelOptions, RedisOptions
from actors.kernel.scripts import BlockingScripts
from actors.kernel.worker import ITEMS_PER_CALL, Beat, Pulse, send_beats

REPORT_S = 0.25
"""Shortest time between two beats that carry progress of one job."""

log = structlog.get_logger("kernel.beats")


class _Held:
    """One lease that is being renewed."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.reported_at_s = 0.0
        """When progress last travelled. Written by the thread."""
        self.dirty = False
        """Progress waits to travel. Set by the event loop, cleared by the thread."""


class Beats:
    """Renews every held lease each `beat_s`; hands the answers to `on_pulse`, which is called in this thread."""

    def __init__(
        self,
        redis_options: RedisOptions,
        partitions: Partitions,
        options: KernelOptions,
        on_pulse: Callable[[Task, Pulse], None],
    ) -> None:
        self._redis_options = redis_options
        self._partitions = partitions
        self._options = options
        self._on_pulse = on_pulse
        self._held: dict[str, _Held] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._beat_at_s = 0.0
        """When every lease is renewed next (monotonic). Written by the thread, and by `hasten`."""
        self.answered_at_s = 0.0
        """When Redis last answered a beat, or had none to answer (monotonic). Written by the thread."""
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hold(self, task: Task) -> None:
        with self._changed:
            self._held[task.fence + task.job] = _Held(task)

    def drop(self, task: Task) -> None:
        with self._changed:
            self._held.pop(task.fence + task.job, None)

    def report(self, task: Task) -> None:
        """Progress of `task` changed; it travels within REPORT_S."""
        held = self._held.get(task.fence + task.job)
        if held is None or held.dirty:
            return
        with self._changed:
            held.dirty = True
            self._changed.notify()

    def hasten(self) -> None:
        """Beats now: after a connection break a worker beats before it takes."""
        with self._changed:
            self._beat_at_s = 0.0
            self._changed.notify()

    def stop(self) -> None:
        """Ends the thread; call it after the last job has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _wait_s(self, now_s: float) -> float:
        due_at_s = self._beat_at_s
        for held in self._held.values():
            if held.dirty:
                due_at_s = min(due_at_s, held.reported_at_s + REPORT_S)
        return due_at_s - now_s

    def _due(self) -> list[tuple[Task, Beat]] | None:
        """Blocks until beats are due; None when stopping."""
        with self._changed:
            while not self._stopping:
                now_s = time.monotonic()
                wait_s = self._wait_s(now_s)
                if wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                everything = now_s >= self._beat_at_s
                if everything:
                    self._beat_at_s = now_s + self._options.beat_s
                return [
                    (held.task, self._beat(held, now_s))
                    for held in self._held.values()
                    if everything or (held.dirty and now_s >= held.reported_at_s + REPORT_S)
                ]
        return None

    @staticmethod
    def _beat(held: _Held, now_s: float) -> Beat:
        task = held.task
        if not held.dirty:
            return Beat(task.job, task.fence)
        held.dirty, held.reported_at_s = False, now_s
        return Beat(task.job, task.fence, task.percent, task.progress)

    def _run(self) -> None:
        client = connect_blocking(self._redis_options)
        scripts = BlockingScripts(client, self._options)
        delay_s = FIRST_DELAY_S
        while (due := self._due()) is not None:
            try:
                self._send(scripts, due)
                self.answered_at_s = time.monotonic()
                delay_s = FIRST_DELAY_S
            except (RedisError, OSError) as error:
                # Work goes on: only FENCED stops it. The lease may still be renewed in time, or given back by `beat`.
                log.warning("beats.unanswered", error=str(error), leases=len(due))
                client.close()
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, timeout=jittered(delay_s))
                    self._beat_at_s = 0.0
                delay_s = min(delay_s * 2, LONGEST_DELAY_S)
        client.close()

    def _send(self, scripts: BlockingScripts, due: list[tuple[Task, Beat]]) -> None:
        by_partition: dict[str, list[tuple[Task, Beat]]] = defaultdict(list)
        for task, beat in due:
            by_partition[self._partitions.of_job(task.job)].append((task, beat))
        for partition, items in by_partition.items():
            keys = self._partitions.keys(partition)
            for first in range(0, len(items), ITEMS_PER_CALL):
                page = items[first : first + ITEMS_PER_CALL]
                pulses = send_beats(scripts, keys, self._options, [beat for _, beat in page])
                for (task, _), pulse in zip(page, pulses, strict=True):
                    self._on_pulse(task, pulse)
