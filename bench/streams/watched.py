"""Jobs on a server, one process that serves their watchers, the watchers themselves, and who writes to the jobs."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from bench.chains.spent import spent
from bench.context import Context, Server
from bench.machine import Memory, memory, processor_s
from bench.roles import Installation, until_ready
from bench.streams.apart import Apart
from bench.streams.crowd import Crowd
from bench.streams.feeder import MARKS, Feeder
from bench.streams.flow import Busy, Flow, Load, per_s, waits
from bench.streams.jobs import TENANT, make_jobs
from bench.streams.transport import Transport
from bench.systems.process import Running

PATIENCE_S = 20.0
"""For what has been written and not yet delivered."""
POLL_S = 0.02
FILL_RATE = 5000.0
"""Events a second."""


Program = Literal["gateway", "plain", "raw"]
"""What serves: ours, a handler written by hand (`plain`), or the bare server (`raw`)."""


class Peer(msgspec.Struct, frozen=True):
    """One way to serve watchers."""

    name: str
    transport: Transport
    program: Program = "gateway"


class Watched:
    """One peer at work. Belongs to one `watched` block."""

    def __init__(
        self, server: Server, serving: Running, port: int, jobs: list[str], crowd: Apart[Crowd], feeder: Apart[Feeder]
    ) -> None:
        self.server = server
        self.serving = serving
        self.port = port
        self.jobs = jobs
        self.crowd = crowd
        self._feeder = feeder
        feeder.ask(Feeder.use, server.url, TENANT, jobs)

    @property
    def processor_s(self) -> float:
        """Of the serving process so far."""
        return processor_s(self.serving.pid)

    @property
    def memory(self) -> Memory:
        """Of the serving process."""
        return memory(self.serving.pid)

    @property
    def files(self) -> int:
        """That the serving process has open, connections among them."""
        return sum(1 for _ in Path(f"/proc/{self.serving.pid}/fd").iterdir())

    def open(self, transport: Transport, first: int, count: int, *, reads: bool = True) -> None:
        """Watchers of so many jobs from the `first` one on."""
        self.crowd.ask(Crowd.open, self.port, transport, self.jobs[first : first + count], reads=reads)

    def flow(self, load: Load, *, watched: int) -> Flow:
        """Writes a load and waits until it is delivered, or nothing more comes. `watched`: jobs whose watcher reads."""
        # Whole turns, so that each job gets as much as any other.
        turns = max(1, round(load.rate * load.seconds / len(self.jobs)))
        wanted = turns * watched
        self.crowd.ask(Crowd.listen, MARKS[load.kind])
        watchers_s = self.crowd.ask(Crowd.heard).processor_s
        serving_s, redis, began_s = self.processor_s, spent(self.server), time.monotonic()
        fed = self._feeder.ask(Feeder.feed, load.kind, load.rate, turns * len(self.jobs))
        ended_s = self.until_delivered(wanted)
        serving_s, redis_s = self.processor_s - serving_s, spent(self.server).since(redis).total_s
        heard = self.crowd.ask(Crowd.heard)
        return Flow(
            load=load,
            wanted=wanted,
            delivered=len(heard.took_us),
            seconds=ended_s - began_s,
            per_s=per_s(heard.sent_us, heard.took_us),
            busy=Busy(serving_s, redis_s, heard.processor_s - watchers_s, fed.processor_s),
            waits=waits(heard.took_us),
            resyncs=heard.resyncs,
            closed=heard.closed,
        )

    def fill(self, first: int, count: int, events: int, event_bytes: int) -> None:
        """Writes so many large events to each of some jobs."""
        self._feeder.ask(Feeder.use, self.server.url, TENANT, self.jobs[first : first + count])
        self._feeder.ask(Feeder.feed, "event", FILL_RATE, count * events, padding_bytes=event_bytes)
        self._feeder.ask(Feeder.use, self.server.url, TENANT, self.jobs)

    def until_delivered(self, wanted: int) -> float:
        """The moment at which it was seen, or at which the last delivery came."""
        moved_s, before = time.monotonic(), -1
        while (now := self.crowd.ask(Crowd.count)) < wanted:
            if now > before:
                moved_s, before = time.monotonic(), now
            elif time.monotonic() - moved_s > PATIENCE_S:
                return moved_s
            time.sleep(POLL_S)
        return time.monotonic()


@contextmanager
def watched(context: Context, peer: Peer, jobs: int) -> Iterator[Watched]:
    """A fresh server with so many jobs, the peer's process and nobody who watches yet."""
    with ExitStack() as stack:
        server = stack.enter_context(context.server(context.durabilities[0]))
        made = make_jobs(server.url, jobs)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reelway-bench-")))
        installation = Installation(server.url, folder)
        serving = stack.enter_context(start(peer.program, installation, server.url))
        crowd, feeder = stack.enter_context(Apart(Crowd)), stack.enter_context(Apart(Feeder))
        until_ready(serving)
        yield Watched(server, serving, installation.port, made, crowd, feeder)


def start(program: Program, installation: Installation, redis: str) -> Running:
    """The process that serves."""
    port = str(installation.port)
    if program == "plain":
        return installation.start("plain", [sys.executable, "-m", "bench.streams.plain", redis, port])
    if program == "raw":
        return installation.start("raw", [sys.executable, "-m", "bench.streams.raw", port])
    return installation.run("gateway")
