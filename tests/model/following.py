"""Verbs that may choose: what they did is read from the logs, checked against the rules, and followed.

`take` chooses among equals, and its turns depend on the order in which it reads; `reconcile` walks in no order.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from actors.kernel.keys import PRIORITIES
from actors.kernel.states import TERMINAL, State
from tests.model.job import SUSPECT, UNKNOWN, Job, Turn
from tests.model.places import Queue
from tests.model.verbs import Model

Inbox = tuple[str, str, str]
"""Stage, lane and name."""


class Seen(NamedTuple):
    """A job as Redis has it."""

    inbox: str
    """Name of the inbox, without stage and lane."""
    events: list[str]


class Asked(NamedTuple):
    """One call of `take`."""

    inboxes: Sequence[Inbox]
    want: int
    holding: int
    nonce: str


class Answer(NamedTuple):
    """Its reply."""

    granted: list[tuple[str, str]]
    paused: list[str]
    clear: bool


class Before(NamedTuple):
    """Where a job stood when the call came."""

    state: State
    inbox: Inbox
    slot: bool
    turn: Turn | None


class Following:
    """Follows one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places = model.places
        self.sound = True
        """Whether every hint is there once, and no other."""
        self._granted: dict[str, str] = {}
        self._turned: set[str] = set()
        self._ended: set[str] = set()

    def _follow(self, seen: dict[str, Seen], moved: Iterable[str] = ()) -> None:
        """Explains every new event by a rule, in whatever order the rules allow."""
        changing = set(moved)
        while pending := self._pending(seen):
            for job, event in pending:
                if self._explain(job, event, seen[job.id], job.id in changing):
                    changing.discard(job.id)
                    break
            else:
                message = f"events that no rule allows: {[(job.id, job.state, event) for job, event in pending]}"
                raise AssertionError(message)
        self._places.forget_vacancies()

    def _pending(self, seen: dict[str, Seen]) -> list[tuple[Job, str]]:
        """The next event of each job that has one. Ends come last and children first, since ends end others."""
        found = []
        for name in seen:
            job = self._model.jobs[name]
            following = seen[name].events[len(job.events) - job.lost_events :]
            if following:
                found.append((job, following[0]))
        return sorted(
            found, key=lambda one: (one[1].removeprefix("job.") in TERMINAL, -one[0].id.count("."), one[0].id)
        )

    def _explain(self, job: Job, event: str, seen: Seen, moved: bool) -> bool:
        match event, job.state:
            case "job.started", State.QUEUED if job.id in self._granted:
                job.takes += 1
                job.fence, job.slot = self._granted[job.id], True
                job.move("take", State.RUNNING, event)
            case "job.queued", State.QUEUED | State.HELD if moved:
                job.state, job.turn, job.inbox = State.QUEUED, None, seen.inbox
                job.events.append(event)
            case "job.queued", State.HELD:
                self._places.take_turn(job)
                if job.inbox == UNKNOWN and seen.inbox in PRIORITIES:
                    self._places.settle_inbox(job, seen.inbox)
                self._turned.add(job.id)
            case "job.held", State.QUEUED | State.HELD if moved:
                job.state = State.QUEUED
                self._places.hold(job, "take")
            case "job.held", State.QUEUED:
                self._places.hold(job, "take")
            case "job.cancelled" | "job.failed", State.QUEUED | State.HELD:
                self._ended.add(job.id)
                return self._model.family.end_unwanted(job, "take" if job.state == State.QUEUED else "turn")
            case "job.expired", State.QUEUED if job.overdue:
                self._ended.add(job.id)
                self._model.family.end_expired(job, "take")
            case _:
                return False
        return True

    def take(self, asked: Asked, answer: Answer, seen: dict[str, Seen]) -> None:
        model = self._model
        if asked.nonce in model.granted:
            self._repeated(asked.nonce, answer)
            return
        before = {job.id: Before(job.state, (*job.queue, job.inbox), job.slot, job.turn) for job in model.jobs.values()}
        for stage, lane, _ in asked.inboxes:
            self._places.widen((stage, lane), asked.want + asked.holding)
        self._granted, self._turned, self._ended = dict(answer.granted), set(), set()
        assert len(self._granted) == len(answer.granted) <= asked.want
        self._follow(seen)
        for name, fence in answer.granted:
            job = model.jobs[name]
            # It may have ended again already: with its parent, when a needed sibling was met after its deadline.
            assert job.state == State.RUNNING or model.family.unwanted(job)
            assert fence == job.fence == f"{job.takes}.{asked.nonce}"
        readable = [inbox for inbox in asked.inboxes if inbox[0] not in model.paused]
        assert set(answer.paused) == {stage for stage, _, _ in asked.inboxes} & model.paused
        where = {name: stood.inbox for name, stood in before.items() if stood.state == State.QUEUED}
        self._in_order(asked, readable, where)
        self._within_limits(answer, before)
        self._by_turns(asked, before)
        self._makes_room(asked, answer, readable)
        if answer.granted:
            model.granted[asked.nonce] = answer.granted

    def _repeated(self, nonce: str, answer: Answer) -> None:
        standing = []
        for name, fence in self._model.granted[nonce]:
            job = self._model.jobs.get(name)
            if job is not None:
                self._model.resume(job, fence)
                if (job.state, job.fence) == (State.RUNNING, fence):
                    standing.append((name, fence))
        self._places.settle()
        assert answer.granted == standing

    def _in_order(self, asked: Asked, readable: list[Inbox], where: dict[str, Inbox]) -> None:
        """What lay in an inbox asked for earlier was met before anything of a later one."""
        places = {inbox: place for place, inbox in enumerate(readable)}
        granted_from = [where[name] for name in self._granted if name in where]
        assert set(granted_from) <= set(readable), "granted from an inbox that was not asked for, or is paused"
        alone = [inbox for inbox in granted_from if inbox[2] == "alone"]
        assert not alone or (len(self._granted), asked.holding) == (1, 0), "alone is granted alone"
        if len(self._granted) == asked.want or alone:
            last = max((places[inbox] for inbox in granted_from), default=0)
        else:
            last = len(readable)
        closed = asked.holding > 0 or any(places[inbox] < _place_of_alone(readable) for inbox in granted_from)
        for name, inbox in where.items():
            left = self._model.jobs[name].state == State.QUEUED and name not in self._turned
            passed_over = left and places.get(inbox, last) < last
            assert not passed_over or (closed and inbox[2] == "alone"), f"{name} was passed over"
        if len(self._granted) < asked.want and not alone:
            for name in self._turned:
                job = self._model.jobs[name]
                inbox = (*job.queue, job.inbox)
                left = job.state == State.QUEUED and inbox in places
                assert not left or inbox[2] == "alone", f"{name} had its turn and was passed over"

    def _within_limits(self, answer: Answer, before: dict[str, Before]) -> None:
        for name, _ in answer.granted:
            tenant = self._model.jobs[name].tenant
            limit, now = self._places.limit_of(tenant), len(self._places.under_way(tenant))
            assert limit == 0 or before[name].slot or now <= limit, f"{tenant} has {now} of {limit} under way"
        for name, stood in before.items():
            job = self._model.jobs[name]
            if (stood.state, job.state) == (State.QUEUED, State.HELD) and not self._ended:
                limit = self._places.limit_of(job.tenant)
                assert 0 < limit <= len(self._places.under_way(job.tenant)), f"{name} is held although there is room"

    def _by_turns(self, asked: Asked, before: dict[str, Before]) -> None:
        """Who had a turn was the tenant's first, and no window is wider than this call could empty it."""
        for name in self._turned & before.keys():
            job, turn = self._model.jobs[name], before[name].turn
            for other in self._places.held(job.queue, job.tenant):
                stood = before[other.id]
                later = stood.state != State.HELD or turn is None or stood.turn is None or turn < stood.turn
                assert later, f"{name} had its turn before {other.id}"
            ready = len(self._places.ready(job.queue, job.tenant))
            assert ready <= self._places.window_of(job.queue) + asked.want, f"{ready} hints of {job.tenant}"

    def _makes_room(self, asked: Asked, answer: Answer, readable: list[Inbox]) -> None:
        """A worker that holds something is told of a job that waits for one that holds nothing."""
        alone = [inbox for inbox in readable if inbox[2] == "alone"]
        left = {
            job.id
            for job in self._model.jobs.values()
            if job.state == State.QUEUED and (*job.queue, job.inbox) in alone
        }
        assert left or not answer.clear or not self.sound, "nobody waits for a worker that holds nothing"
        busy = asked.holding > 0 or (answer.granted and self._model.jobs[answer.granted[0][0]].crashes < SUSPECT)
        assert answer.clear or not busy or not left - self._turned, f"{left} wait for a worker that holds nothing"

    def reconcile(self, seen: dict[str, Seen], deserted: set[Queue]) -> None:
        """One round. Moves jobs out of deserted lanes, closes rows of dead children, gives turns."""
        model = self._model
        self._granted, self._turned, self._ended = {}, set(), set()
        for name in sorted(model.broken):
            if model.jobs[name].state not in TERMINAL:
                model.meet(name)
        for job in model.living():
            if job.state not in TERMINAL and job.parent and model.family.parent_of(job) is None:
                model.family.end_unwanted(job, "parent")
        for parent in model.living():
            if parent.state == State.WAITING:
                self._close_rows(parent)
        moved = []
        for job in model.living():
            # What runs is counted as under way, whatever was lost.
            job.slot = job.slot or job.state == State.RUNNING
            if job.state in (State.QUEUED, State.HELD) and job.rescue and job.queue in deserted:
                self._places.leave(job)
                job.lane = "cpu"
                moved.append(job.id)
        self._places.forgotten.clear()
        self._follow({name: seen[name] for name in model.jobs}, moved)

    def _close_rows(self, parent: Job) -> None:
        """Rows of children that have ended or are gone; a parent with no open child goes on."""
        if not parent.open_rows:
            self._model.family.wake(parent)
        for number in parent.open_rows:
            name = f"{parent.id}.{number}"
            child = self._model.jobs.get(name)
            if child is None or child.state in TERMINAL:
                self._model.family.child_ended(name, parent.id, child.state if child else State.FAILED)

    def unsettled(self) -> list[str]:
        """Held jobs that could have their turn: none, between calls, in a partition that is sound."""
        found = []
        for job in self._model.jobs.values():
            if job.state == State.HELD and len(self._places.ready(job.queue, job.tenant)) < self._places.window:
                first = self._places.held(job.queue, job.tenant)[0]
                apart = [
                    other
                    for other in self._model.jobs.values()
                    if other.state == State.QUEUED and other.tenant == job.tenant and other.apart and not other.slot
                ]
                if first is job and self._places.may_go(job, len(apart)):
                    found.append(job.id)
        return found


def _place_of_alone(readable: list[Inbox]) -> int:
    return next((place for place, inbox in enumerate(readable) if inbox[2] == "alone"), 0)
