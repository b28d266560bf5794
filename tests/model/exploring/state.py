"""One state of everything, and the one of its equals that stands for all of them."""

from collections.abc import Sequence
from itertools import chain, groupby, permutations, product
from typing import NamedTuple

from actors.kernel.states import TERMINAL
from tests.model.exploring.kept import Act, Entry, Grant, Kept, Row

KNOWN_BY_NOBODY = "-"


class Hand(NamedTuple):
    """What one worker knows, and what it has under way."""

    doing: str = ""
    """`take` and `end`: it waits for the reply of a call. `work`: it works on what it holds. Empty: it may take."""
    job: str = ""
    fence: str = ""
    stage: str = ""
    call: Act | None = None
    """The call that it repeats until it is answered."""
    late: Act | None = None
    """A request that it has given up and that may still arrive."""


class Everything(NamedTuple):
    """One state."""

    kept: Kept
    hands: tuple[Hand, ...]
    cancels: int
    """How often the client may still cancel."""
    deadlines: int
    """How many deadlines may still pass."""
    faults: int
    """How much may still go wrong."""
    power: str = ""
    """`on` until it is decided what a power failure would leave, then `failing`, `failed`. Empty: it never fails."""
    saved: Kept | None = None
    """What it would leave of `kept`."""

    @property
    def over(self) -> bool:
        """Whether every job has ended and no worker believes anything else."""
        return all(row.state in TERMINAL for row in self.kept.jobs) and not any(hand.doing for hand in self.hands)


class _Names:
    """Names of jobs and nonces in the order in which they appear."""

    def __init__(self, known: set[str], *, counted: bool) -> None:
        self._known = known
        """Fences that somebody may still name."""
        self._counted = counted
        """Whether it matters how often a job was taken: only where a nonce may be granted twice."""
        self._nonces: dict[str, str] = {}
        self.jobs: dict[str, str] = {}

    def nonce(self, nonce: str) -> str:
        return self._nonces.setdefault(nonce, f"n{len(self._nonces) + 1}")

    def takes(self, takes: int) -> int:
        return takes if self._counted else min(takes, 1)

    def fence(self, fence: str) -> str:
        if fence not in self._known:
            return KNOWN_BY_NOBODY if fence else ""
        takes, _, nonce = fence.partition(".")
        return f"{takes if self._counted else 1}.{self.nonce(nonce)}"

    def act(self, act: Act | None) -> Act | None:
        if act is None:
            return None
        nonce = self.nonce(act.nonce) if act.nonce else ""
        return Act(act.verb, self.jobs[act.job] if act.job else "", self.fence(act.fence), nonce, act.stage)

    def hand(self, hand: Hand) -> Hand:
        job = self.jobs[hand.job] if hand.job else ""
        return Hand(hand.doing, job, self.fence(hand.fence), hand.stage, self.act(hand.call), self.act(hand.late))

    def row(self, row: Row) -> Row:
        fence, takes = self.fence(row.fence), self.takes(row.takes)
        if row.ended_fence in self._known:
            ended, ended_fence = row.ended, self.fence(row.ended_fence)
        else:
            ended = ended_fence = ""
        return Row(
            self.jobs[row.id], row.stage, row.state, row.inbox, fence, ended, ended_fence, takes,
            row.attempt, row.crashes, row.cancel, row.overdue, row.row,
        )  # fmt: skip

    def kept(self, kept: Kept, order: Sequence[int]) -> Kept:
        jobs = self.jobs
        rows = tuple([self.row(kept.jobs[place]) for place in order])
        streams = tuple(
            [
                (inbox, tuple([Entry(jobs[entry.job], entry.delivered, entry.hint) for entry in entries]))
                for inbox, entries in kept.streams
            ]
        )
        return Kept(rows, streams, kept.taken, kept.damaged)

    def taken(self, kept: Kept) -> Kept:
        """After the workers: whatever is remembered is what one of them may ask for."""
        if not kept.taken:
            return kept
        taken = sorted(Grant(self.nonce(nonce), self.jobs[job], self.fence(fence)) for nonce, job, fence in kept.taken)
        return kept._replace(taken=tuple(taken))


def canonical(state: Everything) -> Everything:
    """Names that nobody will say again are forgotten, workers and jobs that do the same change places, and what is left
    is named in the order of its appearance. So states that differ in names only are one."""
    nonces = {act.nonce for hand in state.hands for act in (hand.call, hand.late) if act and act.nonce}
    kept, saved = _remembering(state.kept, nonces), state.saved and _remembering(state.saved, nonces)
    known = {hand.fence for hand in state.hands}
    known |= {act.fence for hand in state.hands for act in (hand.call, hand.late) if act}
    for one in (kept, saved) if saved else (kept,):
        known |= {grant.fence for grant in one.taken}
        if nonces:
            known |= {row.fence for row in one.jobs if row.fence.partition(".")[2] in nonces}
    known.discard("")
    state = state._replace(kept=kept, saved=saved)
    found = [
        _named(state, known, order, hands)
        for order in _orders([_looks_of_job(kept, place) for place in range(len(kept.jobs))])
        for hands in _orders_of_hands(state, order)
    ]
    return found[0] if len(found) == 1 else min(found, key=repr)


def _named(state: Everything, known: set[str], order: Sequence[int], hands: Sequence[int]) -> Everything:
    kept, saved = state.kept, state.saved
    names = _Names(known, counted=state.power != "")
    names.jobs = _names_of_jobs(kept, order)
    rows, older = names.kept(kept, order), saved and names.kept(saved, order)
    named = tuple([names.hand(state.hands[place]) for place in hands])
    return Everything(
        names.taken(rows),
        named,
        state.cancels,
        state.deadlines,
        state.faults,
        state.power,
        older and names.taken(older),
    )


def _names_of_jobs(kept: Kept, order: Sequence[int]) -> dict[str, str]:
    return {kept.jobs[place].id: f"j00-t{number}" for number, place in enumerate(order, 1)}


def _orders(looks: list[tuple[object, ...]]) -> list[Sequence[int]]:
    """By looks; those that look alike in every order."""
    order = sorted(range(len(looks)), key=looks.__getitem__)
    alike = [list(group) for _, group in groupby(order, key=looks.__getitem__)]
    if len(alike) == len(order):
        return [order]
    return [[*chain.from_iterable(groups)] for groups in product(*map(permutations, alike))]


def _orders_of_hands(state: Everything, order: Sequence[int]) -> list[Sequence[int]]:
    if all(hand == state.hands[0] for hand in state.hands):
        return [range(len(state.hands))]
    jobs = _names_of_jobs(state.kept, order)
    rows = {row.id: row for row in state.kept.jobs}
    return _orders([_looks_of_hand(hand, jobs, rows) for hand in state.hands])


def _remembering(kept: Kept, nonces: set[str]) -> Kept:
    """Without takes that nobody can repeat."""
    if all(grant.nonce in nonces for grant in kept.taken):
        return kept
    return kept._replace(taken=tuple(grant for grant in kept.taken if grant.nonce in nonces))


def _looks_of_job(kept: Kept, place: int) -> tuple[object, ...]:
    row = kept.jobs[place]
    lies = [
        (inbox, number, entry.hint)
        for inbox, entries in kept.streams
        for number, entry in enumerate(entries)
        if entry.job == row.id
    ]
    return (
        row.stage,
        row.state,
        row.attempt,
        row.crashes,
        row.cancel,
        row.overdue,
        row.row,
        row.inbox,
        row.ended,
        row.takes,
        lies,
    )


def _looks_of_hand(hand: Hand, jobs: dict[str, str], rows: dict[str, Row]) -> tuple[object, ...]:
    holds = hand.job != "" and rows[hand.job].fence == hand.fence
    job = jobs.get(hand.job, "")
    return (
        hand.doing,
        job,
        hand.stage,
        holds,
        _looks_of_act(hand.call, jobs, rows),
        _looks_of_act(hand.late, jobs, rows),
    )


def _looks_of_act(act: Act | None, jobs: dict[str, str], rows: dict[str, Row]) -> tuple[object, ...]:
    if act is None:
        return ()
    return (act.verb, jobs.get(act.job, ""), act.stage, act.job != "" and rows[act.job].fence == act.fence)
