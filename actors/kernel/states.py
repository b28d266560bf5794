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
    """Over its tenant's limit, or behind its tenant's earlier jobs."""
    RUNNING = "running"
    """A worker holds its lease."""
    WAITING = "waiting"
    """Its children run."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

_WAITS = frozenset({State.QUEUED, State.HELD, State.DELAYED})
_REAPED = (State.QUEUED, State.HELD)
"""Where a job stands after a reap until somebody takes it again."""
_BEGINS = frozenset({State.QUEUED, State.HELD})
_UNWANTED = frozenset({State.CANCELLED, State.FAILED})

MOVES: dict[str, dict[State, frozenset[State]]] = {
    "take": {State.QUEUED: frozenset({State.RUNNING, State.HELD, State.EXPIRED}) | _UNWANTED},
    "commit": {
        **{state: _BEGINS | _UNWANTED | {State.WAITING, State.COMPLETED} for state in _REAPED},
        State.RUNNING: _BEGINS | _UNWANTED | {State.RUNNING, State.WAITING, State.COMPLETED},
    },
    "fail": {state: frozenset({State.DELAYED}) | _UNWANTED for state in (State.RUNNING, *_REAPED)},
    "release": {
        State.RUNNING: frozenset({State.QUEUED}) | _UNWANTED,
        **dict.fromkeys(_REAPED, _UNWANTED),
    },
    "beat": {State.RUNNING: _UNWANTED, **dict.fromkeys(_REAPED, frozenset({State.RUNNING}))},
    "reap": {State.RUNNING: frozenset({State.QUEUED, State.EXPIRED}) | _UNWANTED},
    "promote": {State.DELAYED: _BEGINS | _UNWANTED | {State.EXPIRED}},
    "turn": {State.HELD: frozenset({State.QUEUED}) | _UNWANTED},
    "children": {State.WAITING: _BEGINS | {State.FAILED}},
    "parent": {
        **dict.fromkeys((*_WAITS, State.RUNNING), _UNWANTED),
        State.WAITING: frozenset({State.CANCELLED}),
    },
    "cancel": {
        **{state: frozenset({State.CANCELLED}) for state in (*_WAITS, State.WAITING)},
        State.RUNNING: frozenset({State.RUNNING}),
    },
    "expire": {
        **{state: frozenset({State.EXPIRED}) | _UNWANTED for state in (*_WAITS, State.WAITING)},
        State.RUNNING: frozenset({State.EXPIRED}) | _UNWANTED,
    },
    "replay": {state: _BEGINS | {State.WAITING} for state in (State.FAILED, State.CANCELLED, State.EXPIRED)},
}
"""verb -> state before -> states after.

Three moves are made within other verbs: `turn` where a place came free, `children` when the last child has ended or a
needed one has failed, `parent` where a job is met whose parent has ended. A queued or held job meets `commit`, `fail`,
`release` and `beat` only after a reap. CANCELLED is also what a child of an ended parent becomes, FAILED the parent of
a needed one, by whatever verb it is met.
"""


def legal(verb: str, state: State) -> bool:
    """Whether `verb` can change a job in `state`."""
    return state in MOVES[verb]
