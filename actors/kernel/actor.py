"""An actor: takes work of one stage, runs its handler, ends the lease.

doorbell ─► take ─► handler ─► commit | fail | release
             ▲     └── beats (own thread) until the end is answered
             └ or from a neighbour, whose commit kept the job for this stage
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence

import structlog

from actors.kernel.beats import Beats, Pulses
from actors.kernel.connection import FIRST_DELAY_S, connect, jittered, means_wait
from actors.kernel.doorbell import Doorbell
from actors.kernel.ending import end_tasks
from actors.kernel.execution import Ends, Execution, Setting, Watch
from actors.kernel.family import WorkerFamily
from actors.kernel.handler import FailurePolicy, Handler, Task
from actors.kernel.items import Grant
from actors.kernel.keys import Lane, Partitions, new_nonce
from actors.kernel.neighbours import Neighbours
from actors.kernel.options import ActorOptions, KernelOptions, RedisOptions
from actors.kernel.order import Order
from actors.kernel.room import Room
from actors.kernel.taking import Taking
from actors.kernel.telemetry import StageTelemetry
from actors.kernel.watchdog import Watchdog
from actors.kernel.worker import ITEMS_PER_CALL, Worker

PAUSE_S = 1.0
"""How long the doorbell leaves out a stage that is paused."""
log = structlog.get_logger("kernel.actor")


class Actor:
    """A Service that runs one handler on one lane."""

    def __init__(
        self,
        redis_options: RedisOptions,
        partitions: Partitions,
        options: KernelOptions,
        handler: Handler,
        policy: FailurePolicy,
        actor_options: ActorOptions,
        *,
        lane: Lane = "cpu",
        neighbours: Neighbours | None = None,
    ) -> None:
        """`neighbours`: the other actors of this process, so that each goes on with the others' jobs."""
        self.name = handler.stage
        self._neighbours = neighbours or Neighbours()
        self._redis_options = redis_options
        self._partitions = partitions
        self._options = options
        self._handler = handler
        self._actor_options = actor_options
        self._policy = policy
        self._lane: Lane = lane
        self._order = Order(partitions, handler.stage, lane, options.quarantine)
        self._running: dict[Task, Execution] = {}
        """From the take until the end was answered."""
        self._room = Room(1 if options.quarantine else actor_options.concurrency)
        self._gives_back = False
        """It stops: whatever still comes from a neighbour is given back."""
        self._watchdog = Watchdog(self._running, actor_options.stall_timeout_s)
        self._bells: dict[str, dict[str, str]] = {}
        """Partition to its inboxes and the ids behind which they are listened to."""
        self._paused = False
        """The last take was told that the stage is paused."""
        self._freed = asyncio.Event()
        """A job has ended, or a drain begins."""
        self._draining = asyncio.Event()
        self._ready = asyncio.Event()

    @property
    def worker_name(self) -> str:
        """Consumer name, known once it has started."""
        return self._worker.name

    @property
    def lane(self) -> str:
        return self._lane

    @property
    def slots(self) -> int:
        """Jobs at once."""
        return self._room.places

    @property
    def running(self) -> int:
        """Jobs it works on now."""
        return len(self._running)

    @property
    def quarantine(self) -> str:
        return self._options.quarantine

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._client = connect(self._redis_options)
        self._doorbell = Doorbell(self._redis_options)
        name = f"{socket.gethostname()}-{os.getpid()}-{new_nonce()}"
        self._worker = Worker(self._client, self._partitions, self._options, name)
        self._family = WorkerFamily(self._worker, self._partitions)
        self._beats = Beats(
            self._redis_options,
            self._partitions,
            self._options,
            lambda pulses: _from_thread(loop, self._on_pulses, pulses),
            self._actor_options.stall_timeout_s + self._actor_options.kill_grace_s,
        )
        self._beats.start()
        self._ends = Ends.of(self._worker)
        self._taking = Taking(self._worker, self._order, self._ends.release)
        self._telemetry = StageTelemetry(self.name, lambda: len(self._running))
        watch = Watch(self._actor_options.stall_timeout_s, self._actor_options.kill_grace_s)
        ends, drop = self._ends, self._beats.drop
        self._setting = Setting(
            self._handler, self._policy, ends, watch, self._telemetry, self._neighbours, drop, self._ended
        )
        self._loop = asyncio.create_task(self._work(), name=f"actor-{self.name}")

    def reserve(self) -> bool:
        """Keeps a place free for a neighbour's job, until `receive` or `give_up`; False where there is none."""
        return self._room.reserve()

    def give_up(self) -> None:
        """The place that was kept is not needed."""
        self._room.give_up()
        self._freed.set()

    def receive(self, partition: str, grant: Grant) -> None:
        """A neighbour's job, for the place that was kept."""
        self._room.give_up()
        self._run(partition, [grant])

    async def ready(self) -> None:
        """Returns once Redis has answered a take."""
        await self._ready.wait()

    async def drain(self) -> None:
        """Takes nothing new and waits for the running jobs; `stop` gives back what did not fit into the grace."""
        await self._end_taking()
        giving_back = asyncio.create_task(self._taking.end(self._options.lease_s))
        try:
            if self._room.busy:
                log.info("actor.draining", stage=self.name, jobs=self._room.busy)
                await self._all_ended(self._actor_options.drain_grace_s)
            await giving_back
        finally:
            await end_tasks([giving_back])

    async def stop(self) -> None:
        """Gives back what still runs and ends. Beats go on until the last job has ended."""
        await self._end_taking()
        self._gives_back = True
        for execution in self._running.values():
            execution.give_back()
        if self._room.busy:
            # After a lease without an answer the work belongs to whoever takes it; waiting longer would help nobody.
            patience_s = self._actor_options.kill_grace_s + self._options.lease_s
            await self._all_ended(patience_s)
            for execution in list(self._running.values()):
                execution.forget()
                self._ended(execution.task)
        await self._taking.end(self._options.lease_s)
        self._watchdog.stop()
        await self._ends.close()
        self._telemetry.close()
        await asyncio.to_thread(self._beats.stop)
        await self._doorbell.close()
        await self._client.aclose()

    async def _end_taking(self) -> None:
        """Returns when nothing is taken any more."""
        self._neighbours.leave(self)
        self._draining.set()
        self._freed.set()
        self._doorbell.hang_up()
        await asyncio.wait([self._loop])

    async def _all_ended(self, patience_s: float) -> None:
        """Waits until no job runs, at most so long. Nothing may be taken any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self._room.busy:
                    self._freed.clear()
                    await self._freed.wait()

    def _on_pulses(self, pulses: Pulses) -> None:
        for task, pulse in pulses:
            if task in self._running:
                self._running[task].on_pulse(pulse)

    async def _work(self) -> None:
        rung = set(self._order.partitions)
        delay_s = FIRST_DELAY_S
        while not self._draining.is_set():
            try:
                for partition in [pp for pp in self._order.partitions if pp in rung]:
                    if not await self._has_room():
                        return
                    if not await self._take(partition):
                        rung.discard(partition)
                if not self._ready.is_set():
                    self._ready.set()
                    if not self._options.quarantine:
                        self._neighbours.join(self)
                if not rung:
                    rung = await self._listen()
                delay_s = FIRST_DELAY_S
            except Exception as error:
                # Whatever it was: an actor that silently takes nothing any more is worse than one that tries again.
                if means_wait(error):
                    log.warning("actor.disconnected", stage=self.name, error=str(error))
                else:
                    log.exception("actor.take_refused", stage=self.name)
                await self._recover(delay_s)
                delay_s = min(delay_s * 2, 1.0)
                rung = set(self._order.partitions)

    async def _has_room(self) -> bool:
        """Waits for a free place; False when draining begins."""
        while self._room.full and not self._draining.is_set():
            self._freed.clear()
            await self._freed.wait()
        self._room.clearing = False
        return not self._draining.is_set()

    async def _take(self, partition: str) -> bool:
        """Takes once; True when there may be more."""
        self._room.asked = want = min(self._room.free, ITEMS_PER_CALL)
        try:
            taken = await self._taking.take(partition, want, self._room.busy)
        except Exception:
            # The next round begins behind it: a primary that is away holds up its own partitions only.
            self._order.gave(partition)
            raise
        finally:
            self._room.asked = 0
        if taken.grants:
            self._run(partition, taken.grants)
        self._bells[partition] = taken.bells
        self._paused = bool(taken.paused)
        if taken.clear:
            self._room.clearing = True
            self._order.first(partition)
        elif taken.grants:
            self._order.gave(partition)
        if taken.grants:
            # The handlers begin before the next call is put together and sent.
            await asyncio.sleep(0)
        return bool(taken.grants) or taken.clear

    async def _listen(self) -> set[str]:
        """Waits for a ring, or for a drain; returns the partitions to take from."""
        bells = {inbox: delivered for heard in self._bells.values() for inbox, delivered in heard.items()}
        if self._paused or not bells:
            await self._rest(PAUSE_S)
            return set(self._order.partitions)
        return self._order.rung(await self._doorbell.ring(bells))

    async def _rest(self, pause_s: float) -> None:
        """Waits, or until a drain begins."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), pause_s)

    async def _recover(self, delay_s: float) -> None:
        """After a broken connection a worker beats first and takes a beat's time later: what it holds comes first."""
        broken_at_s = time.monotonic()
        self._beats.hasten()
        while not self._draining.is_set():
            await self._rest(jittered(delay_s))
            if self._beats.answered_at_s > broken_at_s:
                break
        if self._running:
            await self._rest(self._options.beat_s)

    def _run(self, partition: str, grants: Sequence[Grant]) -> None:
        tasks = [Task(grant, self._beats.report, self._family) for grant in grants]
        self._beats.hold(partition, tasks)
        self._room.enter(grants)
        for task in tasks:
            execution = self._running[task] = Execution(task, partition, self._setting)
            self._telemetry.started(task)
            execution.start()
            if self._gives_back:
                execution.give_back()
        self._watchdog.begin()

    def _ended(self, task: Task) -> None:
        self._beats.drop(task)
        if self._running.pop(task, None) is not None:
            self._room.leave(task.grant)
            self._freed.set()


def _from_thread(loop: asyncio.AbstractEventLoop, callback: Callable[[Pulses], None], pulses: Pulses) -> None:
    # The loop may already be closed while the last beats come home.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, pulses)
