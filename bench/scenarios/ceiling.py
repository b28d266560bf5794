"""How far the worker is from what Redis can do for the same transitions, and what Redis spends its time on."""

import contextlib
import time

from actors.kernel import Partitions
from bench.context import OURS, Context, Durability, Server
from bench.findings import Finding
from bench.limit import bare, commands, prepared, reached
from bench.limit.reached import Round
from bench.systems import system as systems
from bench.systems.measure import Measured, Work, submit, work_off
from bench.systems.process import Reports, Settings, start
from bench.systems.reelway.batches import VARIANT
from bench.systems.rounds import QUICK

WHAT = "the raw limit of the same transitions: a bare client, prepared bytes, and Redis's own time by command"
JOBS: dict[Work, str] = {"noop": "jobs", "chain": "chains"}
COUNT: dict[Work, int] = {"noop": 10_000, "chain": 5000}
"""Jobs of a round."""
DRAIN_S = 30.0
HOW = """\
The same jobs in three ways, each on a fresh Redis as shipped, over TCP, in every round. One worker process: as in the
scenarios noop and chain, with its batches counted. Bare client: the kernel's own clients call take and commit with the
average batch sizes of that worker, four calls in flight; no doorbell, no heartbeats, no task a job. Prepared requests:
the bytes that such a program sends (one call at a time, so that their order is fixed) are recorded on another server
and written to an empty one over one connection, 16 requests ahead of the replies; job ids and nonces are in those
bytes, so every take grants the same jobs and every commit names the right fence. This client does nearly nothing, so
its rate is the limit that Redis sets for these scripts at these batch sizes.

The tables by command are Redis's own counters (`INFO commandstats`) over the whole run of the worker: calls and
microseconds of each command that the scripts executed, the scripts' own time (what is left of `EVALSHA`), and what is
left of the processor time of Redis. The counters are wall time, which is processor time where Redis has a core of its
own."""


def run(context: Context) -> Finding:
    durabilities = context.durabilities[:1] if context.quick else context.durabilities
    count = 1 if context.quick else context.rounds
    tables, plots, said = [], [], []
    found: dict[tuple[Work, Durability], list[Round]] = {(m, d): [] for m in JOBS for d in durabilities}
    for number in range(1, count + 1):
        for mode, durability in context.order(found, number):
            made = _round(context, mode, durability)
            context.say(f"ceiling {mode} {durability} round {number}: {made.share_percent:.0f} % of the limit")
            found[mode, durability].append(made)
    for (mode, durability), rounds in found.items():
        jobs, words = JOBS[mode], durability.words
        title = "Four stages" if mode == "chain" else "No-op jobs"
        tables.append(reached.table(f"{title}, {words}", jobs, rounds))
        said.append(f"{title}, {words}: {reached.in_words(jobs, rounds)}")
        if durability is durabilities[0]:
            one, accounts = jobs.removesuffix("s"), [each.account for each in rounds]
            tables.append(commands.table(f"{title} by command, {words}", one, accounts))
            plots.append(reached.plot(f"ceiling-{mode}", f"{title}, {words}", jobs, rounds))
    return Finding(
        scenario="ceiling",
        title="The raw limit",
        how=HOW,
        tables=tuple(tables),
        plots=tuple(plots),
        says="\n\n".join(said),
    )


def _round(context: Context, mode: Work, durability: Durability) -> Round:
    jobs = QUICK[mode] if context.quick else COUNT[mode]
    with context.server(durability) as server:
        worker, take, commit, account = _worker(context, server, mode, jobs)
    sizes = max(1, round(take)), max(1, round(commit))
    with context.server(durability) as server:
        called = bare.apart(bare.work_off, bare.Plan(server.url, mode, jobs, *sizes))
    with context.server(durability) as server, context.server(durability) as empty:
        written = bare.apart(prepared.replay, bare.Plan(server.url, mode, jobs, *sizes), empty.url)
    return Round(worker, take, commit, account, called, written)


def _worker(context: Context, server: Server, mode: Work, jobs: int) -> tuple[Measured, float, float, commands.Account]:
    """The real worker: its figures, its mean batches, and what Redis did by command."""
    reelway = systems.load(OURS)
    with Reports() as reports, contextlib.ExitStack() as stack:
        settings = Settings(redis=server.url, mode=mode, jobs=jobs, report=reports.path, variant=VARIANT)
        submit_rate = submit(reelway, context.environments, settings, reports)
        server.reset_stats()
        before_s = server.processor_s()
        worker = stack.enter_context(start(reelway, context.environments, "worker", settings))
        window, sampler = work_off([worker], [server], reports, jobs)
        worker_s, redis_s = sampler.spent(window)
        _until_ended(server)
        account = commands.account(server.commandstats(), server.processor_s() - before_s, jobs)
        worker.stop()
        (batches,) = reports.wait(VARIANT)
    per_job = 1e6 / jobs
    measured = Measured(jobs, jobs / window.seconds, submit_rate, worker_s * per_job, redis_s * per_job)
    return measured, float(batches["take"]), float(batches["commit"]), account


def _until_ended(server: Server) -> None:
    """The last ends are on their way when their handlers have told. ZCOUNT, since no script uses it."""
    active = Partitions(1).keys(bare.PARTITION).active
    deadline = time.monotonic() + DRAIN_S
    while server.client.zcount(active, "-inf", "+inf"):
        if time.monotonic() > deadline:
            raise RuntimeError("jobs have been worked off and do not end")
        time.sleep(0.005)
