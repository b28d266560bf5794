"""States of a job and the moves between them: one table for the gateway, the drawn diagram and the tests.

The scripts in `lua/` enact these moves; `tests/kernel` replays random histories against them and this table.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    """Has a hint in an inbox."""
    DELAYED = "delayed"
    """Waits in `due` for its next attempt."""
    HELD = "held"
    """Over its tenant's limit."""
    RUNNING = "running"
    """A worker holds its lease."""
    WAITING = "waiting"
    """Its children run."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

MOVES: dict[str, dict[State, frozenset[State]]] = {
    "take": {State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.EXPIRED})},
    "commit": {
        State.RUNNING: frozenset({State.QUEUED, State.COMPLETED, State.CANCELLED}),
        State.QUEUED: frozenset({State.QUEUED, State.COMPLETED}),
    },
    "fail": {
        State.RUNNING: frozenset({State.DELAYED, State.FAILED, State.CANCELLED}),
        State.QUEUED: frozenset({State.DELAYED, State.FAILED}),
    },
    "release": {State.RUNNING: frozenset({State.QUEUED, State.CANCELLED})},
    "beat": {State.QUEUED: frozenset({State.RUNNING})},
    "reap": {State.RUNNING: frozenset({State.QUEUED, State.FAILED, State.CANCELLED, State.EXPIRED})},
    "promote": {State.DELAYED: frozenset({State.QUEUED, State.EXPIRED})},
    "cancel": {
        State.QUEUED: frozenset({State.CANCELLED}),
        State.DELAYED: frozenset({State.CANCELLED}),
        State.RUNNING: frozenset({State.RUNNING}),
    },
    "expire": {
        State.QUEUED: frozenset({State.EXPIRED}),
        State.DELAYED: frozenset({State.EXPIRED}),
        State.RUNNING: frozenset({State.EXPIRED, State.CANCELLED}),
    },
}
"""verb -> state before -> states after. A queued job meets `commit`, `fail` and `beat` only after a reap."""


def legal(verb: str, state: State) -> bool:
    """Whether `verb` can change a job in `state`."""
    return state in MOVES[verb]
