"""Parents and children."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence, is_terminal
from tests.faults.plan import Splits

Found = tuple[str, str | None]
OWN_FIELDS = ("open", "sum", "base", "reach", "revive", "revived")


def rows_agree(evidence: Evidence) -> Iterator[Found]:
    """A parent's rows say of each child what its hash says: the end and the fence it ended under.

    Every row has its child and every child its row, and there are no more of them than the plan has. A row may be open,
    or to be begun again, only when the parent ended first and without success.
    """
    jobs = evidence.leavings.jobs
    for job, facts in jobs.items():
        rows = {number: row for number, row in facts.kids.items() if number not in OWN_FIELDS}
        children = {child.rpartition(".")[2] for child in jobs if child.rpartition(".")[0] == job}
        planned = max((len(step.children) for step in evidence.steps_of(facts) if isinstance(step, Splits)), default=0)
        if rows.keys() != children:
            yield f"it has rows of {sorted(rows)} and the children {sorted(children)}", job
        if len(children) > planned:
            yield f"it has {len(children)} children, and {planned} were planned", job
        completed = facts.fields.get("state") == "completed"
        if completed and len(children) < planned:
            yield f"it completed with {len(children)} of {planned} children", job
        for number, row in rows.items():
            child = jobs.get(f"{job}.{number}")
            if row in ("open", "again"):
                if completed:
                    yield f"it completed, and the row of child {number} is {row}", job
            elif child is not None and row != f"{child.fields.get('state')} {child.fields.get('fence', '')}":
                yield f"its row of child {number} is {row!r}; the child is {child.fields.get('state')}", job
        still_open = sum(row in ("open", "again") for row in rows.values())
        if rows and int(facts.kids.get("open") or 0) != still_open:
            yield f"it counts {facts.kids.get('open')} open children and has {still_open}", job


def children_end_with_parents(evidence: Evidence) -> Iterator[Found]:
    """Every child of an ended parent has ended, and every child has a parent."""
    jobs = evidence.leavings.jobs
    for job, facts in jobs.items():
        if "." not in job:
            continue
        parent = jobs.get(job.rpartition(".")[0])
        if parent is None:
            yield "its parent is not there", job
        elif is_terminal(parent) and not is_terminal(facts):
            yield f"it is {facts.fields.get('state')} and its parent is {parent.fields.get('state')}", job
