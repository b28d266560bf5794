"""One run of the bench: scenarios one after the other, each on a machine that is watched."""

import traceback
from collections.abc import Callable, Iterable

import msgspec

from bench import record, scenarios
from bench.context import Context
from bench.machine import Watch, describe
from bench.record import Record
from bench.server import find_program, program_version


class Outcome(msgspec.Struct, frozen=True):
    """What came of a run."""

    records: list[Record]
    broken: list[str]
    """Scenarios that ended with an error."""


def run(names: Iterable[str], context: Context, keep: Callable[[Record], None]) -> Outcome:
    """Runs the scenarios; one that breaks is told and the others go on. `keep` gets each record as it is made."""
    redis = program_version(find_program(context.redis_program))
    versions = {name: system_versions(name, context) for name in context.systems}
    records, broken = [], []
    for name in names:
        context.say(f"── {name}")
        try:
            made = _one(name, context, redis, versions)
        except Exception:  # noqa: BLE001  # the other scenarios are still wanted
            context.say(f"{name} broke:\n{traceback.format_exc()}")
            broken.append(name)
            continue
        records.append(made)
        keep(made)
        _tell(made, context)
    return Outcome(records, broken)


def system_versions(name: str, context: Context) -> dict[str, str]:
    """What the environment of a system holds."""
    from bench.systems import environments, system

    return environments.versions(system.load(name), context.environments)


def _one(name: str, context: Context, redis: str, versions: dict[str, dict[str, str]]) -> Record:
    scenario = scenarios.load(name)
    machine = describe()
    with Watch() as watch:
        finding = scenario.run(context)
    return record.make(finding, context, machine, watch, redis, versions)


def _tell(made: Record, context: Context) -> None:
    context.say(f"{made.finding.scenario}: {made.seconds or 0:.0f} s, steal {made.steal_percent or 0:g} %")
    for check in made.finding.checks:
        verdict = "met" if check.met else "NOT MET"
        context.say(f"  {verdict}: {check.what}: {check.found} (wanted: {check.wanted})")
