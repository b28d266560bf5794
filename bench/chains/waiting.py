"""Installations in which so much waits or is held by other workers, and what chains cost Redis there."""

import time
from collections.abc import Sequence

import msgspec
import redis

from actors.kernel import Beat, Grant, KernelOptions, Partitions, Pulse, RedisOptions, Submitter, Worker, connect
from actors.kernel import new_nonce as nonce
from actors.kernel.worker import ITEMS_PER_CALL
from bench.chains.fleet import Fleet
from bench.chains.load import inboxes, load_scripts, patient, submit, tenants_in, widen
from bench.chains.lockstep import Lockstep, Unsteady
from bench.chains.orders import CONCURRENCY, STAGES, Orders
from bench.chains.spent import spent
from bench.meter import OUTSIDE
from bench.server import Server

BATCH = 25
"""Jobs in one call of the lockstep."""
WARM_UP_TURNS = 4
EACH = 50
"""Most jobs of one tenant where none is held: half of what may lie in the inbox."""
TENANTS = BATCH
"""Tenants of a batch: each of its jobs is another one's."""
LEASE_S = 7200.0
"""Of the leases that others hold: nobody has to renew them while something else is measured."""
QUIET_S = 120.0
CALLS = "evalsha"
LUA = "Lua itself"


def digits(number: int) -> str:
    """A count for a reader, thousands apart."""
    return f"{number:,}".replace(",", " ")


class Situation(msgspec.Struct, frozen=True):
    """What is there besides the chains that are measured."""

    where: str
    """`inbox` or `hold`."""
    waiting: int
    leases: int = 0
    """Held by other workers."""

    @property
    def tenants(self) -> int:
        """Of the jobs that wait: so many that a batch has no tenant twice."""
        if self.where == "inbox" and self.population <= EACH:
            return self.population
        return TENANTS if self.where == "hold" else max(TENANTS, -(-self.population // EACH))

    @property
    def population(self) -> int:
        """Jobs that are not ended and not of the other workers: those that wait, and a batch that is on its way.

        Before something waits in a hold, every tenant's part of the inbox is full.
        """
        return self.waiting + BATCH + (TENANTS * CONCURRENCY if self.where == "hold" else 0)

    @property
    def name(self) -> str:
        text = f"{digits(self.waiting)} in the {self.where}"
        return f"{text}, {digits(self.leases)} leases" if self.leases else text


class Cost(msgspec.Struct, frozen=True):
    """Of chains in calls of a fixed size, each with the submission of its successor."""

    chains: int
    seconds: float
    redis_s: float
    main_s: float
    memory_mib: float
    """That Redis used at the end."""
    commands: dict[str, tuple[int, float]]
    """Calls and microseconds of each command inside scripts, and of the scripts under CALLS."""

    @property
    def redis_us(self) -> float:
        return 1e6 * self.redis_s / self.chains

    @property
    def main_us(self) -> float:
        return 1e6 * self.main_s / self.chains

    @property
    def rate(self) -> float:
        return self.chains / self.seconds

    def calls(self, command: str) -> float:
        """A chain."""
        return self.commands.get(command, (0, 0.0))[0] / self.chains

    def took_us(self, command: str) -> float:
        """A chain; with LUA what the scripts took beside their commands."""
        if command == LUA:
            inside = sum(self.took_us(each) for each in self.commands if each != CALLS)
            return self.took_us(CALLS) - inside
        return self.commands.get(command, (0, 0.0))[1] / self.chains

    @property
    def all_calls(self) -> float:
        """Commands that the scripts carry out for a chain."""
        return sum(self.calls(command) for command in self.commands if command != CALLS)


class Worked(msgspec.Struct, frozen=True):
    """The same chains through a worker process."""

    rate: float
    worker_us: float
    redis_us: float
    batch: float


def commands_of(stats: dict[str, tuple[int, float]]) -> dict[str, tuple[int, float]]:
    """What scripts carried out, by command; calls of scripts themselves under CALLS."""
    found: dict[str, tuple[int, float]] = {}
    for name, (calls, took_us) in stats.items():
        command = name.partition("|")[0]
        if command in OUTSIDE - {CALLS}:
            continue
        before = found.get(command, (0, 0.0))
        found[command] = before[0] + calls, before[1] + took_us
    return found


class Place:
    """One situation on a server of its own, which stays as it is from round to round."""

    def __init__(self, server: Server, situation: Situation) -> None:
        self.server = server
        self.situation = situation
        self._partitions = Partitions(1)
        (self._partition,) = self._partitions
        self._tenants = tenants_in(self._partitions, situation.tenants)
        self._held: list[Grant] = []

    async def prepare(self) -> None:
        """Makes the situation."""
        load_scripts([self.server])
        client = connect(RedisOptions(url=self.server.url))
        try:
            await widen(client, self._partitions, CONCURRENCY)
            submitter = patient(client, self._partitions)
            await self._hold(client, submitter)
            await submit(submitter, self._tenants, self.situation.population, ordered=TENANTS * CONCURRENCY)
        finally:
            await client.aclose()
        # A rewrite of the file would fall into some windows and not into others.
        self.server.client.config_set("auto-aof-rewrite-percentage", 0)
        _until_quiet(self.server.client)
        self.check()

    async def _hold(self, client: redis.asyncio.Redis, submitter: Submitter) -> None:
        """Other workers take jobs of a middle stage, of the same tenants."""
        worker = Worker(client, self._partitions, KernelOptions(lease_s=LEASE_S), "other")
        stage = STAGES[2]
        keys = inboxes(self._partitions, self._partition, stage)
        while len(self._held) < self.situation.leases:
            few = min(ITEMS_PER_CALL, self.situation.leases - len(self._held))
            await submit(submitter, self._tenants, few, stage=stage)
            taken = await worker.take(self._partition, keys, few, nonce())
            if len(taken.grants) != few:
                raise Unsteady(f"{len(taken.grants)} leases instead of {few}")
            self._held += taken.grants

    def check(self) -> None:
        """Raises Unsteady when it is not the situation that it should be."""
        keys, client = self._partitions.keys(self._partition), self.server.client
        hints = sum(client.xlen(key) for key in inboxes(self._partitions, self._partition, STAGES[0]))
        held = sum(client.zcard(keys.held(tenant)) for tenant in self._tenants)
        leases = client.zcard(keys.leases)
        wanted = self.situation
        if (hints + held, leases) != (wanted.population, wanted.leases):
            raise Unsteady(f"{wanted.name}: {hints} hints, {held} held, {leases} leases")
        if (held > 0) != (wanted.where == "hold"):
            raise Unsteady(f"{wanted.name}: {held} are held")

    async def cost(self, chains: int) -> Cost:
        """Runs chains in lockstep; as much waits afterwards as before."""
        client = connect(RedisOptions(url=self.server.url))
        try:
            await widen(client, self._partitions, CONCURRENCY)
            lockstep = Lockstep(client, BATCH)
            for _ in range(WARM_UP_TURNS):
                await lockstep.turn()
            self.server.reset_stats()
            before, began_s = spent(self.server), time.monotonic()
            for _ in range(chains // BATCH):
                await lockstep.turn()
            seconds, used = time.monotonic() - began_s, spent(self.server).since(before)
            commands = commands_of(self.server.commandstats())
            memory_mib = self.server.client.info("memory")["used_memory"] / 2**20
        finally:
            await client.aclose()
        self.check()
        return Cost(chains // BATCH * BATCH, seconds, used.total_s, used.main_s, memory_mib, commands)

    def work(self, chains: int) -> Worked:
        """The same through a worker process; as much waits afterwards as before."""
        orders = Orders(redis=self.server.url, report="", replaces=True, warm_up=max(1, chains // 5), measured=chains)
        with Fleet(orders) as fleet:
            fleet.begin()
            opened = fleet.heard("opened")
            before = spent(self.server)
            closed = fleet.heard("closed")
            used = spent(self.server).since(before)
            fleet.reports.wait("emptied", 1, QUIET_S, fleet.workers[0])
            fleet.workers[0].wait(QUIET_S)
        self.check()
        ended = closed.chains - opened.chains
        return Worked(
            rate=ended / ((closed.last_ns - opened.last_ns) / 1e9),
            worker_us=(closed.processor_ns - opened.processor_ns) / 1e3 / ended,
            redis_us=1e6 * used.total_s / ended,
            batch=(closed.taken - opened.taken) / max(1, closed.takes - opened.takes),
        )

    async def beat(self, beats: int) -> float:
        """Microseconds of Redis for one beat of one lease, in calls as full as they may be."""
        client = connect(RedisOptions(url=self.server.url))
        try:
            worker = Worker(client, self._partitions, KernelOptions(lease_s=LEASE_S), "other")
            before, done = spent(self.server), 0
            while done < beats:
                for page in _pages(self._held):
                    pulses = await worker.beat(self._partition, [Beat(grant.job, grant.fence) for grant in page])
                    if any(pulse is not Pulse.OK for pulse in pulses):
                        raise Unsteady(f"beats were answered {pulses}")
                    done += len(page)
            return 1e6 * spent(self.server).since(before).total_s / done
        finally:
            await client.aclose()


def _pages(grants: Sequence[Grant]) -> list[Sequence[Grant]]:
    return [grants[first : first + ITEMS_PER_CALL] for first in range(0, len(grants), ITEMS_PER_CALL)]


def _until_quiet(client: redis.Redis) -> None:
    """Until no rewrite of the append-only file is under way. Raises Unsteady."""
    deadline = time.monotonic() + QUIET_S
    while client.info("persistence")["aof_rewrite_in_progress"]:
        if time.monotonic() > deadline:
            raise Unsteady("the append-only file is being rewritten all the time")
        time.sleep(0.05)
