"""What Redis did for a job, by command: its own counters, read after a run that nothing else shared. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from bench.findings import Figure, Row, Table

SCRIPTS = ("evalsha", "eval")
CLIENTS = frozenset(
    {"auth", "client", "command", "config", "hello", "info", "ping", "script", "select", "xread", "zcount"}
)
"""Sent by clients as they are, or by the bench itself: not part of a script."""
SMALL_PERCENT = 1.0
"""Of Redis's processor time: commands below it share one line."""
LUA = "the scripts themselves"
OUTSIDE = "outside of commands: sockets, replies, append-only file"


class Spent(msgspec.Struct, frozen=True):
    """Of one command, a job."""

    calls: float
    us: float


class Account(msgspec.Struct, frozen=True):
    """Of one round, a job."""

    redis_us: float
    """All processor time of Redis."""
    scripts: float
    """Calls of scripts."""
    commands: dict[str, Spent]
    """What the scripts executed."""
    scripts_us: float
    """Within scripts, their commands included."""
    clients_us: float
    """Of the commands that clients sent beside scripts."""

    @property
    def executed(self) -> float:
        """Commands of all scripts together."""
        return sum(each.calls for each in self.commands.values())

    @property
    def lua_us(self) -> float:
        """Of the scripts without their commands."""
        return self.scripts_us - sum(each.us for each in self.commands.values())

    @property
    def outside_us(self) -> float:
        return self.redis_us - self.scripts_us - self.clients_us


def account(stats: Mapping[str, tuple[int, float]], redis_s: float, jobs: int) -> Account:
    """From the counters of a server (calls, microseconds by command) and the processor time it used meanwhile."""
    inside: dict[str, Spent] = {}
    scripts = 0
    scripts_us = clients_us = 0.0
    for name, (calls, microseconds) in stats.items():
        command = name.partition("|")[0]
        if command in SCRIPTS:
            scripts += calls
            scripts_us += microseconds
        elif command in CLIENTS:
            clients_us += microseconds
        else:
            before = inside.get(command, Spent(0, 0))
            inside[command] = Spent(before.calls + calls / jobs, before.us + microseconds / jobs)
    return Account(redis_s / jobs * 1e6, scripts / jobs, inside, scripts_us / jobs, clients_us / jobs)


def table(title: str, job: str, accounts: Sequence[Account]) -> Table:
    """One row a command, most expensive first. `job`: what is counted, such as "chain"."""
    total_us = sum(each.redis_us for each in accounts)
    names = {name for each in accounts for name in each.commands}
    spent_us = {name: sum(_of(each, name).us for each in accounts) for name in names}
    large = sorted(
        (name for name in names if 100 * spent_us[name] / total_us >= SMALL_PERCENT), key=lambda name: -spent_us[name]
    )
    small = sorted(names - set(large))
    rows = [_row(name, [_of(each, name) for each in accounts], accounts) for name in large]
    if small:
        rest = [Spent(sum(_of(e, n).calls for n in small), sum(_of(e, n).us for n in small)) for e in accounts]
        rows.append(_row("all others", rest, accounts))
    rows.append(_row(LUA, [Spent(each.scripts, each.lua_us) for each in accounts], accounts))
    rows.append(_row(OUTSIDE, [Spent(0, each.outside_us) for each in accounts], accounts))
    rows.append(_row("together", [Spent(0, each.redis_us) for each in accounts], accounts))
    columns = (f"calls a {job}", "µs a call", f"µs a {job}", "share of Redis's CPU")
    return Table(title, ("command",), columns, tuple(rows))


def _of(one: Account, name: str) -> Spent:
    return one.commands.get(name, Spent(0, 0))


def _row(name: str, spent: Sequence[Spent], accounts: Sequence[Account]) -> Row:
    called = [each for each in spent if each.calls]
    return Row(
        (name,),
        (
            Figure("", tuple(each.calls for each in called)),
            Figure("µs", tuple(each.us / each.calls for each in called)),
            Figure("µs", tuple(each.us for each in spent)),
            Figure("%", tuple(100 * each.us / one.redis_us for each, one in zip(spent, accounts, strict=True))),
        ),
    )
