"""What must be true of every call: rules of safety. Each looks at what Redis held before and after one call.

`found` and its like say what a state must be; since every state is what some call left, they are looked at here too.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from actors.kernel.states import TERMINAL, State
from tests.model.exploring.kept import ERROR_BUDGET, Act, Answer, Kept, Row

CRASH_BUDGET = 3
"""As in the defaults of the product: the third lost lease ends a job, the second sends it to `alone`."""
ACCEPTED = ("OK", "LATE")
ENDS = ("commit", "fail", "release")


class Broken(NamedTuple):
    """A rule that does not hold."""

    rule: str
    message: str


def _one_commit(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """No two commits of one stage: what is accepted is the result of the stage that the job is in."""
    if act.verb == "commit" and answer[0] in ACCEPTED and (before.stage != act.stage or before.state in TERMINAL):
        return f"a result of stage {act.stage} was accepted, and the job is {before.state} in stage {before.stage}"
    return ""


def _fence(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """An end is accepted only of the fence that was granted last."""
    if act.verb in ENDS and answer[0] in ACCEPTED and before.fence != act.fence:
        return f"{act.verb} was accepted under {act.fence}, and {before.fence} was granted last"
    return ""


def _one_lease(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """No second worker is told that a job is its own."""
    if act.verb.startswith("take") and before.state == State.RUNNING and after.fence != before.fence:
        return f"granted to {after.fence} while it runs under {before.fence}"
    if act.verb == "beat" and answer[0] == "OK" and before.fence != act.fence:
        return f"a beat under {act.fence} was OK, and {before.fence} was granted last"
    return ""


def _cancel(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """What was cancelled with a 2xx never completes."""
    return "cancelled, and then completed" if after.cancel and after.state == State.COMPLETED else ""


def _terminal(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """Nothing leads out of an end."""
    if before.state in TERMINAL and (after.state, after.stage) != (before.state, before.stage):
        return f"{before.state} became {after.state}"
    return ""


def _budget(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """No budget is overdrawn: a job that has spent it has ended."""
    if after.crashes >= CRASH_BUDGET or after.attempt >= ERROR_BUDGET:
        return f"{after.crashes} crashes and {after.attempt} errors, and it is {after.state}"
    return ""


def _charge(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """Only a lost lease costs a crash, and only an error of the handler an attempt."""
    if after.crashes > before.crashes and not (act.verb == "reap" and before.row == "out"):
        return f"{act.verb} cost a crash"
    return f"{act.verb} cost an attempt" if after.attempt > before.attempt and act.verb != "fail" else ""


def _repeat(before: Row, act: Act, answer: Answer, after: Row) -> str:
    """The end that was recorded last is known when it is asked for again, and nothing happens."""
    if act.verb in ENDS and (before.ended, before.ended_fence) == (act.verb, act.fence):
        if answer != ("ALREADY",):
            return f"{act.verb} was accepted before, and its repeat was answered {answer[0]}"
        if after != before:
            return f"the repeat of {act.verb} changed the job"
    return ""


def _found(kept: Kept) -> Iterator[str]:
    """Somebody will come upon every job: its hint waits, or its row does. Unless something was lost, of course."""
    hints = {
        (inbox, entry.job) for inbox, entries in kept.streams for entry in entries if entry.hint and not entry.delivered
    }
    for row in kept.jobs:
        if row.state == State.QUEUED and (f"{row.stage}:{row.inbox}", row.id) not in hints:
            yield f"{row.id} is queued, and no hint of it waits"
        if row.state == State.RUNNING and row.row not in ("fresh", "out"):
            yield f"{row.id} runs without a row of the leases"
        if row.state == State.DELAYED and row.row != "due":
            yield f"{row.id} is delayed without a row of the delays"
        if row.state in TERMINAL and (row.row or any(name == row.id for _, name in hints)):
            yield f"{row.id} has ended and something is left of it"


OF_CALLS: dict[str, Callable[[Row, Act, Answer, Row], str]] = {
    "one commit": _one_commit,
    "fence": _fence,
    "one lease": _one_lease,
    "cancel": _cancel,
    "terminal": _terminal,
    "budget": _budget,
    "charge": _charge,
    "repeat": _repeat,
}


def broken_by(kept: Kept, act: Act, answer: Answer, after: Kept) -> list[Broken]:
    """Rules that do not hold for one call and what it left."""
    found = []
    for row_before, row_after in zip(kept.jobs, after.jobs, strict=True):
        if row_before == row_after and act.job != row_before.id:
            continue
        if act.job in ("", row_before.id):
            of_it = answer
        else:
            found.append(Broken("others", f"{act.verb} of {act.job} changed {row_before.id}"))
            continue
        for rule, check in OF_CALLS.items():
            message = check(row_before, act, of_it, row_after)
            if message:
                found.append(Broken(rule, f"{row_before.id}: {message}"))
    if not after.damaged:
        found += [Broken("found", message) for message in _found(after)]
    return found


def illegal(act: Act, error: AssertionError) -> Broken:
    """The model refused to move a job as the call asked."""
    return Broken("moves", f"{act.verb}: {error}")
