"""Jobs that pass four stages which do nothing."""

from collections.abc import Sequence

from bench.context import OURS, Context, Durability
from bench.findings import Check, Finding
from bench.systems import comparison
from bench.systems.rounds import ROUND_S, Results, take_turns

WHAT = "jobs a second through four stages that do nothing, one worker process of every system"
NODE_PEER = "bullmq"
OVER_NODE = {Durability.EVERYSEC: 1.5, Durability.NONE: 1.8}
AIM = 2.5
OVER_PYTHON = 6.0
HOW = f"""\
Jobs that pass four stages, each of which does nothing and hands a number on: ingest, fetch, transcode, store. One
worker process runs all four. What carries a job from stage to stage is the system's own way where it has one, else a
hand-in by the job itself (column "how"). Method and settings are those of the no-op scenario; the rate is that between
the first line of the first job's first stage and the last line of the last job's last one, and a round takes at most
{ROUND_S:g} s. Ratios are taken within a round. Reelway is there twice: as it is, where a worker that ends a stage
goes on with the next one if nobody else waits for that, and with every stage through its inbox, as where each stage
has a process of its own."""


def run(context: Context) -> Finding:
    results = take_turns(context, "chain")
    return Finding(
        scenario="chain",
        title="Chain of four stages",
        how=HOW,
        tables=tuple(
            comparison.table(
                each,
                f"Four stages, {each.durability.words}",
                "chains",
                "how",
                {system.name: system.modes.chain_how for system in each.systems},
            )
            for each in results
        ),
        plots=(comparison.bars(results, "chain", "Chains of four stages, one worker process", "chains"),),
        checks=tuple(check for each in results for check in checks(each)),
        says=_says(results),
    )


def checks(results: Results) -> list[Check]:
    """What was promised of this durability, as far as the systems it is about took part."""
    ours = results.by_system.get(OURS, {})
    words = results.durability.words
    node = comparison.ratios(ours, results.by_system.get(NODE_PEER, {}))
    found = comparison.check_at_least(
        f"chain, {words}: Reelway against {NODE_PEER}", node, OVER_NODE[results.durability]
    )
    if results.durability is Durability.EVERYSEC:
        python = comparison.ratios_to_best(ours, [results.by_system[each] for each in _python_peers(results)])
        best = max(_python_peers(results), key=lambda each: comparison.median_rate(results.by_system[each]), default="")
        found += comparison.check_at_least(
            f"chain, {words}: Reelway against the best Python system ({best})", python, OVER_PYTHON
        )
    return found


def _python_peers(results: Results) -> list[str]:
    return [each.name for each in results.systems if each.language == "python"]


def _says(results: Sequence[Results]) -> str:
    said = []
    for each in results:
        ours = each.by_system.get(OURS, {})
        if not ours:
            continue
        rate = comparison.median_rate(ours)
        words = f"With {each.durability.words}: Reelway runs {rate:,.0f} chains/s; {comparison.bound(ours)}."
        ratio = comparison.ratios(ours, each.by_system.get(NODE_PEER, {}))
        if ratio:
            reached = "reached" if sorted(ratio)[len(ratio) // 2] >= AIM else "not reached"
            words += f" Against {NODE_PEER} that is {comparison.in_words(ratio)}; the aim of {AIM:g} × is {reached}."
        said.append(words)
    said.append("The table “by command” of the ceiling scenario says what Redis does for a chain.")
    return "\n\n".join(said)
