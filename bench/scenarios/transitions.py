"""What every transition costs Redis: commands, keys and microseconds."""

import asyncio
import re
import statistics

import msgspec

from actors.kernel import RedisOptions, connect
from bench import cases_upkeep, cases_work
from bench.case import Case
from bench.context import Context
from bench.findings import Figure, Finding, Row, Table
from bench.house import House
from bench.meter import Cost, Meter

WHAT = "commands, keys and microseconds of every verb in every situation, one item and 25 in a call"
CASES = (*cases_work.CASES, *cases_upkeep.CASES)
SAMPLES = 10
"""Calls of each case in a round."""
KEY = re.compile(r"rw:\{[^}]+\}:\S+")
END = "end-of-case"
COMMANDS, KEYS, TIME, TIME_AN_ITEM = COLUMNS = ("commands", "keys", "time", "time an item")
HOW = """\
Every case is made from nothing on an empty server and called once, alone: the commands that its script executes, the
different keys that these name, and Redis's time for the call. A round is the median of {samples} calls. Redis's Unix
socket, {durability}."""


class Counted(msgspec.Struct, frozen=True):
    """One case with so many items in the call."""

    case: Case
    items: int
    commands: int
    """Commands that the script executes; the same in every run."""
    keys: int
    """Keys that they name; the same in every run."""


class Timed(msgspec.Struct, frozen=True):
    """A counted case and Redis's time for its call in each round; no rounds: only counts were asked for."""

    counted: Counted
    microseconds: tuple[float, ...] = ()


async def _once(house: House, meter: Meter, case: Case, items: int) -> Cost:
    await house.fresh()
    cost = await meter.measure(await case.prepare(house, items))
    if cost.calls != 1:
        raise RuntimeError(f"{case.name}: {cost.calls} script calls were measured, not one")
    return cost


async def _keys(house: House, case: Case, items: int) -> int:
    """How many different keys the call names, read from MONITOR."""
    await house.fresh()
    act = await case.prepare(house, items)
    keys: set[str] = set()
    async with house.client.monitor() as monitor:
        await act()
        await house.client.echo(END)
        async for seen in monitor.listen():
            if seen["command"] == f"ECHO {END}":
                return len(keys)
            if seen["client_type"] == "lua":
                keys.update(KEY.findall(seen["command"]))
    raise RuntimeError("MONITOR ended")


async def _count(house: House, meter: Meter) -> list[Counted]:
    return [
        Counted(case, items, (await _once(house, meter, case, items)).total, await _keys(house, case, items))
        for case in CASES
        for items in case.sizes
    ]


async def _time(house: House, meter: Meter, counted: Counted, samples: int) -> float:
    costs = [await _once(house, meter, counted.case, counted.items) for _ in range(samples)]
    seen = {cost.total for cost in costs}
    if seen != {counted.commands}:
        raise RuntimeError(f"{counted.case.name}: {counted.commands} commands, then {sorted(seen)}")
    return statistics.median(cost.script_us for cost in costs)


async def _measure(url: str, rounds: int, samples: int) -> list[Timed]:
    client = connect(RedisOptions(url=url), connections=2)
    house, meter = House(client), Meter(client)
    await house.load()
    counted = await _count(house, meter)
    times = [[await _time(house, meter, each, samples) for each in counted] for _ in range(rounds)]
    await client.aclose()
    return [Timed(each, tuple(times[number][place] for number in range(rounds))) for place, each in enumerate(counted)]


def count(url: str) -> Table:
    """Commands and keys of every case on a server that is emptied for it, without times."""
    return table(asyncio.run(_measure(url, 0, 0)))


def run(context: Context) -> Finding:
    """On one server; what goes to its disk is outside of Redis's time for a call."""
    samples, durability = 1 if context.quick else SAMPLES, context.durabilities[0]
    with context.server(durability) as server:
        timed = asyncio.run(_measure(server.socket_url, context.rounds, samples))
    how = HOW.format(samples=samples, durability=durability.words)
    return Finding("transitions", "Cost of every transition", how, (table(timed),))


def table(timed: list[Timed]) -> Table:
    """A row for each case and number of items."""
    return Table("Every verb in every situation", ("verb", "case", "items"), COLUMNS, tuple(map(_row, timed)))


def _row(timed: Timed) -> Row:
    counted = timed.counted
    labels = (f"`{counted.case.verb}`", counted.case.what, str(counted.items))
    each_us = tuple(round(us / counted.items, 1) for us in timed.microseconds)
    exact = Figure("", (counted.commands,)), Figure("", (counted.keys,))
    return Row(labels, (*exact, Figure("µs", timed.microseconds), Figure("µs", each_us)))
