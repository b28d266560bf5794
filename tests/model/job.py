"""One job as the model knows it."""

from dataclasses import dataclass, field

from actors.kernel.keys import PRIORITIES
from actors.kernel.states import MOVES, State

AHEAD_MS = {"high": -600_000, "normal": 0, "low": 600_000}
"""How far a priority moves a job's place among its tenant's held ones."""
SUSPECT = 2
"""Lost leases of one stage after which a job runs alone."""

UNKNOWN = "?"
"""Inbox of a job that had its turn, until it is seen which priority it was given."""

Turn = tuple[int, int, str]
"""Place among the held: 0 with a slot and 1 without, time of submission moved by the priority, id."""


@dataclass
class Job:
    """What the hash says, and where the job is counted."""

    id: str
    tenant: str
    stage: str
    lane: str = "cpu"
    rescue: bool = False
    priority: str = "normal"
    created_ms: int = 0
    parent: str = ""
    state: State = State.QUEUED
    inbox: str = ""
    """Name of the inbox its hint lies in, without stage and lane."""
    fence: str = ""
    ended: str = ""
    """Verb and fence of the last end."""
    takes: int = 0
    attempt: int = 0
    crashes: int = 0
    percent: float = 0.0
    cancel: bool = False
    doomed: bool = False
    """A child whose failure it does not survive has failed."""
    overdue: bool = False
    expires: bool = False
    """Whether the ledger of deadlines knows that it is overdue."""
    pinned: str = ""
    waited: bool = False
    """Whether it ended while it waited for children."""
    slot: bool = False
    """Whether it is counted as under way."""
    turn: Turn | None = None
    first: tuple[str, str, bool] = ("", "", False)
    """Stage and lane it began in, and whether it might leave that lane."""
    events: list[str] = field(default_factory=list)
    lost_events: int = 0
    """Events that were in a log that has been put aside."""
    rows: dict[int, str] = field(default_factory=dict)
    """Number of a child to `open` or its end state."""
    children: int = 0
    """Highest number of a child."""
    revives: bool = False
    """Whether it was replayed: children without success that it spawns again begin again."""
    on_child_failure: str = "go_on"
    inexact: bool = False
    """Whether what it knew of its children's percent is lost with one of them."""
    base: float = 0.0
    reach: float = 0.0

    def __post_init__(self) -> None:
        self.first = self.first if self.first[0] else (self.stage, self.lane, self.rescue)

    @property
    def number(self) -> int:
        return int(self.id.rpartition(".")[2])

    @property
    def queue(self) -> tuple[str, str]:
        return self.stage, self.lane

    @property
    def in_window(self) -> bool:
        """Whether its hint lies in a priority inbox, where it counts for its tenant's window."""
        return self.state == State.QUEUED and self.inbox in (*PRIORITIES, UNKNOWN)

    @property
    def apart(self) -> str:
        """The inbox beside the priorities that is meant for it, or nothing."""
        if self.pinned:
            return self.pinned
        return "alone" if self.crashes >= SUSPECT else ""

    @property
    def open_rows(self) -> list[int]:
        return [number for number, row in sorted(self.rows.items()) if row == "open"]

    def move(self, verb: str, state: State, event: str = "") -> None:
        legal = MOVES[verb].get(self.state, frozenset())
        assert state in legal, f"{verb}: {self.state} -> {state} is not in the table of moves ({self.id})"
        self.state = state
        if event:
            self.events.append(event)

    def end(self, verb: str) -> None:
        self.ended = f"{verb} {self.fence}"
