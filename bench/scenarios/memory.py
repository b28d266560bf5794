"""What jobs take of Redis's memory in each state, and what is left of them."""

import asyncio

import msgspec

from actors.kernel import KernelOptions
from bench.context import Context, Durability
from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table
from bench.memory_states import STATES, Entries, Figures, Left, Measurement
from bench.server import bundled_program, running

WHAT = "Redis's memory of a job in each state, of one hash and one log, and what is left after retention"
JOBS, QUICK_JOBS = 5000, 500
REDIS_DEFAULT_BYTES = 64
"""Longest value up to which a hash stays packed if nothing is configured."""
HOW = """\
Jobs are brought into each state by the verbs, with the bodies of a real conversion. The figure is the growth of
`used_memory` a job, with everything that belongs to it: its hash and log, its rows in the partition's sets, its hint,
its places among its tenant's jobs. Feed and progress are bounded (`kernel.feed_length`, `kernel.pulse_length`) and
left out; so is what `take` keeps for five minutes for its repeat. A child waits with a transcode's input; a
five-hundredth of its parent is in its figure. One measurement each: repeats differ by less than a percent.

{jobs} jobs a state. `packed`: the longest value with which a hash stays in one piece; Reelway's servers have 2048,
Redis's default is 64, and beyond it a hash is a table."""
LEFT = {
    "base_bytes": ("B", "used_memory before the first job"),
    "full_bytes": ("B", "with all of them finished"),
    "rest_bytes": ("B", "after their retention"),
    "feed_bytes": ("B", "of which feed and progress"),
    "inbox_bytes": ("B", "of which inboxes and their groups"),
    "other_bytes": ("B", "of which anything else that was not there before"),
    "job_keys": ("", "keys left of jobs"),
    "fragmentation_full": ("", "allocator_active / allocator_allocated (libc: resident), full"),
    "fragmentation_rest": ("", "the same after retention"),
}


class Measured(msgspec.Struct, frozen=True):
    """One server with one configuration."""

    redis: str
    allocator: str
    packed_bytes: int
    """`hash-max-listpack-value`: the longest value a packed hash may hold."""
    states: list[Figures]
    entries: Entries
    left: Left

    @property
    def name(self) -> str:
        return f"{self.redis}, {self.allocator}, packed {self.packed_bytes}"

    def bytes_of(self, state: str) -> int:
        """Of one job."""
        return next(each.bytes_per_job for each in self.states if each.state == state)


def run(context: Context) -> Finding:
    """Every server as it is shipped, and with Redis's own idea of a small hash. Quick: the first one only."""
    jobs, durability = QUICK_JOBS if context.quick else JOBS, context.durabilities[0]
    cases = [
        (program, packed_bytes)
        for program in dict.fromkeys([context.redis_program, bundled_program()])
        for packed_bytes in (None, REDIS_DEFAULT_BYTES)
    ]
    return finding(jobs, [measure(*case, jobs, durability) for case in cases[: 1 if context.quick else None]])


def measure(program: str | None, packed_bytes: int | None, jobs: int, durability: Durability) -> Measured:
    """One server. `packed_bytes` None: as it is shipped."""
    with running(program, durability) as server:
        return asyncio.run(_measure(Measurement(server.socket_url, jobs, packed_bytes)))


async def _measure(measurement: Measurement) -> Measured:
    redis, allocator, packed_bytes = await measurement.open()
    states = [await measurement.state(name) for name in STATES]
    entries = await measurement.entries()
    left = await measurement.after_retention()
    await measurement.close()
    return Measured(redis, allocator, packed_bytes, states, entries, left)


def finding(jobs: int, servers: list[Measured]) -> Finding:
    """Of every server; the first one is the one that is installed, with the settings that are shipped."""
    return Finding(
        scenario="memory",
        title="Memory of jobs in Redis",
        how=HOW.format(jobs=jobs),
        tables=(_states(servers), _keys(servers), _left(jobs, servers)),
        plots=(_plot(servers),),
        checks=(_check(servers),),
        says=_says(servers[0]),
    )


def _names(servers: list[Measured]) -> tuple[str, ...]:
    return tuple(server.name for server in servers)


def _states(servers: list[Measured]) -> Table:
    rows = tuple(Row((state,), tuple(Figure("B", (server.bytes_of(state),)) for server in servers)) for state in STATES)
    return Table("A job, by its state", ("state",), _names(servers), rows)


def _keys(servers: list[Measured]) -> Table:
    rows = []
    for index, state in enumerate(STATES):
        states = [server.states[index] for server in servers]
        rows.append(Row((state, "hash"), tuple(Figure("B", (each.hash_bytes,), each.hash_encoding) for each in states)))
        rows.append(Row((state, "log"), tuple(Figure("B", (each.log_bytes,)) for each in states)))
    entries = [server.entries for server in servers]
    rows.append(Row(("any", "entry of the feed"), tuple(Figure("B", (each.feed_bytes,)) for each in entries)))
    rows.append(Row(("any", "entry of progress"), tuple(Figure("B", (each.pulse_bytes,)) for each in entries)))
    return Table("One key", ("state", "what"), _names(servers), tuple(rows))


def _left(jobs: int, servers: list[Measured]) -> Table:
    rows = tuple(
        Row((words,), tuple(Figure(unit, (getattr(server.left, name),)) for server in servers))
        for name, (unit, words) in LEFT.items()
    )
    return Table(f"After the retention of {jobs} finished jobs", ("what",), _names(servers), rows)


def _plot(servers: list[Measured]) -> Plot:
    series = tuple(
        Series(server.name, STATES, tuple(float(server.bytes_of(state)) for state in STATES)) for server in servers
    )
    return Plot("memory", "Redis's memory of one job", "bars", "state", "bytes", series)


def _check(servers: list[Measured]) -> Check:
    keys = sum(server.left.job_keys for server in servers)
    other = sum(server.left.other_bytes for server in servers)
    found = f"{keys} keys, {other} B"
    return Check("Left of a job after its retention", "nothing", found, met=(keys, other) == (0, 0))


def _says(server: Measured) -> str:
    options = KernelOptions()
    queued, finished = (2**30 // server.bytes_of(state) // 10_000 * 10_000 for state in ("queued", "completed"))
    feed_mb = server.entries.feed_bytes * options.feed_length / 1e6
    pulse_mb = server.entries.pulse_bytes * options.pulse_length / 1e6
    return (
        f"So a gigabyte holds about {queued:,} queued or {finished:,} finished jobs. To that come the feeds: full, one"
        f" takes {feed_mb:.0f} MB a partition, progress {pulse_mb:.0f} MB. What is left after retention is the feed,"
        " the progress, and the inboxes with their groups and consumers: they do not grow with the number of jobs."
    ).replace(",0", "\N{NO-BREAK SPACE}0")
