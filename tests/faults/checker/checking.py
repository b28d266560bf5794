"""All checks over one run. They read three plain values and nothing else, so each can be shown a corrupted history.

A check is a generator of messages with the job concerned; its docstring is the promise it holds the run to. Its name is
the name under which the report and the tests know it.
"""

from collections.abc import Callable, Iterator, Sequence

from tests.faults.checker.accepted import accepted_once, cancels_kept, replays_kept
from tests.faults.checker.budgets import charges_have_causes, numbers_within_budgets
from tests.faults.checker.children import children_end_with_parents, rows_agree
from tests.faults.checker.ends import allowed_end, one_end_per_life
from tests.faults.checker.evidence import Evidence
from tests.faults.checker.executions import fences_are_unique, no_bugs, started_twice
from tests.faults.checker.forgotten import nothing_is_kept
from tests.faults.checker.keys import keys_have_owners
from tests.faults.checker.leftovers import dead_letters_agree, nothing_waits
from tests.faults.checker.limits import limits_kept
from tests.faults.checker.logs import logs_are_clean
from tests.faults.checker.processes import deaths_have_causes, everybody_ended
from tests.faults.checker.publication import manifests_agree, one_result
from tests.faults.checker.revisions import log_contiguous
from tests.faults.checker.stages import chain_of_fences, stages_in_order
from tests.faults.checker.storage import files_have_owners
from tests.faults.checker.violation import Violation
from tests.faults.checker.watching import percent_never_falls, revisions_shown, shown_is_kept, watchers_see_ends
from tests.faults.history import Event
from tests.faults.leavings import Leavings
from tests.faults.plan import Plan

Found = tuple[str, str | None]
"""A message and the job."""
CHECKS: tuple[Callable[[Evidence], Iterator[Found]], ...] = (
    accepted_once,
    allowed_end,
    cancels_kept,
    replays_kept,
    one_end_per_life,
    log_contiguous,
    revisions_shown,
    shown_is_kept,
    percent_never_falls,
    watchers_see_ends,
    stages_in_order,
    chain_of_fences,
    fences_are_unique,
    started_twice,
    no_bugs,
    numbers_within_budgets,
    charges_have_causes,
    one_result,
    manifests_agree,
    limits_kept,
    rows_agree,
    children_end_with_parents,
    nothing_waits,
    dead_letters_agree,
    keys_have_owners,
    files_have_owners,
    nothing_is_kept,
    everybody_ended,
    deaths_have_causes,
    logs_are_clean,
)

__all__ = ["CHECKS", "Violation", "check"]


def check(plan: Plan, history: Sequence[Event], leavings: Leavings) -> list[Violation]:
    """Every promise that this run broke, in the order of the checks."""
    evidence = Evidence(plan, history, leavings)
    return [Violation(each.__name__, message, job) for each in CHECKS for message, job in each(evidence)]
