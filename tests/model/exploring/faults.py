"""What can go wrong in one state. Each fault costs one of those that a history may have."""

from collections.abc import Collection, Iterator

from actors.kernel.states import TERMINAL, State
from tests.model.exploring.kept import Act
from tests.model.exploring.server import Reply
from tests.model.exploring.state import Everything, Hand
from tests.model.exploring.steps import FREE, Course, Kind, Step, answered, name_of, told

AGAIN = "a:again"
"""The inbox that doubled hints come to lie in."""


EVERY_KIND = ("calls", "workers", "client", "damage")
"""Kinds of faults: requests and replies of workers; workers that die, stop or stand still; replies to the client; what
is lost in Redis."""


class Faults:
    """All faults of one state."""

    def __init__(self, course: Course, kinds: Collection[str]) -> None:
        self._kinds = kinds
        self._course = course
        self._state = course.state
        self._server = course.server

    def all(self) -> Iterator[Step]:
        if not self._state.faults:
            return
        if "calls" in self._kinds:
            for place, hand in enumerate(self._state.hands):
                yield from self._of_calls(place, hand)
        if "workers" in self._kinds:
            for place, hand in enumerate(self._state.hands):
                yield from self._of_worker(place, hand)
            yield from self._of_time()
        if "client" in self._kinds:
            yield from self._of_client()
        if "damage" in self._kinds:
            yield from self._damage()

    def _of_calls(self, place: int, hand: Hand) -> Iterator[Step]:
        """A reply is lost, or a request is: it may still arrive after anything else. The caller asks again."""
        for act in self._calls(hand):
            waits = Hand("take" if act.verb.startswith("take") else "end", hand.job, hand.fence, hand.stage, act)
            reply = self._server.ask(self._state.kept, act)
            if reply.kept != self._state.kept or reply.broken:
                text = f"worker {place + 1}: {told(act, reply)}; the reply is lost"
                yield self._step(text, act, reply, place, waits._replace(late=hand.late))
            if hand.late is None:
                text = f"worker {place + 1}: {act.verb} {act.nonce or act.fence} stays under way"
                yield self._step(text, None, None, place, waits._replace(late=act))
        if hand.fence and hand.late is None:
            beat = Act("beat", hand.job, hand.fence)
            text = f"worker {place + 1}: a beat under {hand.fence} stays under way"
            yield self._step(text, None, None, place, hand._replace(late=beat))

    def _calls(self, hand: Hand) -> list[Act]:
        """Calls that a worker may make now."""
        if hand.call is not None:
            return [hand.call]
        if hand.doing == "work":
            return [Act(verb, hand.job, hand.fence, stage=hand.stage) for verb in ("commit", "fail")]
        return [Act("take", nonce=self._course.fresh)]

    def _of_worker(self, place: int, hand: Hand) -> Iterator[Step]:
        """It is killed, or told to stop; what comes in its place knows nothing. What it sent may still arrive."""
        if not hand.doing:
            return
        text = f"worker {place + 1} is killed"
        yield self._step(text, None, None, place, FREE if hand.late is None else Hand(late=hand.late))
        if hand.doing == "work":
            act = Act("release", hand.job, hand.fence, stage=hand.stage)
        elif hand.doing == "take" and hand.call is not None and hand.call.verb == "take":
            # It wants nothing, so that it finds only what it was granted before.
            act = hand.call._replace(verb="take nothing")
        else:
            return
        reply = self._server.ask(self._state.kept, act)
        text = f"worker {place + 1} drains: {told(act, reply)}"
        yield self._step(text, act, reply, place, answered(hand, act, reply))
        if act.verb == "release" and reply.kept != self._state.kept:
            waits = hand._replace(doing="end", call=act)
            yield self._step(f"{text}; the reply is lost", act, reply, place, waits)

    def _of_time(self) -> Iterator[Step]:
        """A worker stands still for longer than its lease, and believes."""
        for place, hand in enumerate(self._state.hands):
            row = next((row for row in self._state.kept.jobs if row.id == hand.job), None)
            if row and hand.fence and (row.fence, row.row) == (hand.fence, "fresh"):
                act = Act("time passes", row.id)
                reply = self._server.ask(self._state.kept, act)
                text = f"worker {place + 1} stands still, and its lease of {name_of(row.id)} runs out"
                yield self._step(text, act, reply, place, hand)

    def _of_client(self) -> Iterator[Step]:
        """The reply to a cancel is lost: the client may cancel again."""
        state = self._state
        for row in state.kept.jobs if state.cancels else ():
            if row.state not in TERMINAL and not row.cancel:
                act = Act("cancel", row.id)
                reply = self._server.ask(state.kept, act)
                yield self._happens(f"the client: {told(act, reply)}; the reply is lost", act, reply)

    def _damage(self) -> Iterator[Step]:
        """Hints and rows are lost, hints come twice, groups begin again or at their end."""
        kept = self._state.kept
        for inbox, entries in kept.streams:
            for entry in entries:
                if entry.hint and not entry.delivered:
                    yield self._damaged("hint lost", Act("hint lost", entry.job, stage=inbox))
            if any(entry.delivered for entry in entries):
                yield self._damaged("group lost", Act("group lost", stage=inbox))
            if not all(entry.delivered for entry in entries):
                yield self._damaged("group at its end", Act("group at its end", stage=inbox))
        for row in kept.jobs:
            if row.row:
                yield self._damaged("row lost", Act("row lost", row.id))
            if row.state in (State.QUEUED, State.RUNNING):
                yield self._damaged("hint doubled", Act("hint doubled", row.id, stage=AGAIN))

    def _damaged(self, what: str, act: Act) -> Step:
        reply = self._server.ask(self._state.kept, act)
        where = f" of {name_of(act.job)}" if act.job else ""
        return self._happens(f"{what}{where}{f' in {act.stage}' if act.stage else ''}", act, reply)

    def _happens(self, text: str, act: Act, reply: Reply) -> Step:
        after = self._state._replace(kept=reply.kept, faults=self._state.faults - 1)
        return Step(Kind.FAULT, text, after, act, reply.broken)

    def _step(self, text: str, act: Act | None, reply: Reply | None, place: int, hand: Hand) -> Step:
        return self._course.step(Kind.FAULT, text, act, reply, place, hand)


def power(state: Everything) -> Iterator[Step]:
    """The tail of what Redis was told is lost, once: it goes back to what it was at some moment; nobody else does."""
    if state.power == "on":
        text = "(what Redis is told from here on will not be kept)"
        yield Step(Kind.MAY, text, state._replace(saved=state.kept, power="failing"), Act("saved"))
    if state.saved is not None and state.saved != state.kept:
        # No request outlives the connection that it was sent over.
        hands = tuple(hand._replace(late=None) for hand in state.hands)
        after = state._replace(kept=state.saved, saved=None, power="failed", hands=hands)
        yield Step(Kind.MAY, "the power fails", after, Act("power fails"))
