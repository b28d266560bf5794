"""Jobs that do nothing, through one stage."""

import statistics
from collections.abc import Sequence

from bench.context import OURS, Context
from bench.findings import Finding
from bench.systems import comparison
from bench.systems.reelway.situation import AT_ONCE
from bench.systems.rounds import ROUND_S, Results, take_turns

WHAT = "jobs a second through one stage that does nothing, one worker process of every system"
HOW = f"""\
Jobs that take a number and return it. The client hands in all of them, then one worker process starts and works them
off; the rate is that between the first line of the first job and the last line of the last one, told by the handlers,
and the processor times are those of the same window. Every round of every system has a fresh Redis on TCP of the same
machine; Reelway has the Redis settings that it ships, the others Redis's own. A warm-up that is not counted chooses the
number of jobs so that a round takes at most {ROUND_S:g} s. Concurrency is 100 for asynchronous systems ({AT_ONCE} for
Reelway), the documented default for those with threads or processes. Everything is on in Reelway: fences, heartbeats,
leases of 10 s, deadlines, tenant limits (four tenants), durable events of every job; no delivery endpoint, no progress,
and no reaper beside the worker, whose passes are a few calls a second whatever the load."""


def run(context: Context) -> Finding:
    results = take_turns(context, "noop")
    return Finding(
        scenario="noop",
        title="No-op throughput",
        how=HOW,
        tables=tuple(
            comparison.table(each, f"No-op jobs, {each.durability.words}", "jobs", "results", _notes(each))
            for each in results
        ),
        plots=(comparison.bars(results, "noop", "No-op jobs, one worker process", "jobs"),),
        says=_says(results),
    )


def _notes(results: Results) -> dict[str, str]:
    return {each.name: each.results for each in results.systems}


def _says(results: Sequence[Results]) -> str:
    said = []
    for each in results:
        ours = each.by_system.get(OURS, {})
        if not ours:
            continue
        rate = comparison.median_rate(ours)
        said.append(f"With {each.durability.words}: Reelway runs {rate:,.0f} jobs/s; {comparison.bound(ours)}.")
        for name in comparison.by_speed(each):
            ratio = comparison.ratios(ours, each.by_system[name])
            if name != OURS and ratio:
                said[-1] += f" Against {name}: {statistics.median(ratio):.2f} ×."
    return "\n\n".join(said)
