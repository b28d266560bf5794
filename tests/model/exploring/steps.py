"""What can happen next when everybody does what they are made for: workers, the reaper, the client, time."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from actors.kernel.states import TERMINAL
from tests.model.exploring.kept import Act
from tests.model.exploring.properties import Broken
from tests.model.exploring.server import Reply, Server
from tests.model.exploring.state import Everything, Hand

FREE = Hand()


class Kind(StrEnum):
    """Whose turn a step is."""

    SURE = "sure"
    """Happens some day if it stays possible: what is alive goes on."""
    MAY = "may"
    """Need not happen, and cannot happen for ever."""
    FAULT = "fault"
    """Goes wrong: one of a bounded number of faults."""


class Step(NamedTuple):
    """One step from one state."""

    kind: Kind
    text: str
    after: Everything
    act: Act | None = None
    """What was asked of Redis, or happened to it."""
    broken: tuple[Broken, ...] = ()


class Course:
    """Everything that can happen in one state. `fresh` is the nonce that a new take is given."""

    def __init__(self, server: Server, state: Everything, fresh: str) -> None:
        self.server = server
        self.state = state
        self.fresh = fresh

    def step(self, kind: Kind, text: str, act: Act | None, reply: Reply | None, place: int, hand: Hand) -> Step:
        """A step after which one worker is as `hand` says."""
        state = self.state
        hands = state.hands
        if hand is not hands[place]:
            hands = (*hands[:place], hand, *hands[place + 1 :])
        faults = state.faults - (kind is Kind.FAULT)
        after = Everything(
            reply.kept if reply else state.kept, hands, state.cancels, state.deadlines, faults, state.power, state.saved
        )
        return Step(kind, text, after, act, reply.broken if reply else ())

    def sure(self) -> Iterator[Step]:
        for place, hand in enumerate(self.state.hands):
            yield from self._of_worker(place, hand)
        yield from self._of_reaper()
        yield from self._of_time()

    def may(self) -> Iterator[Step]:
        state = self.state
        for place, hand in enumerate(state.hands):
            if hand.doing == "work":
                act = Act("fail", hand.job, hand.fence, stage=hand.stage)
                yield self._call(Kind.MAY, place, act, "has an error: ")
            if hand.late:
                reply = self.server.ask(state.kept, hand.late)
                text = f"a late request of worker {place + 1} arrives: {told(hand.late, reply)}"
                yield self.step(Kind.MAY, text, hand.late, reply, place, hand._replace(late=None))
        if state.cancels:
            for row in state.kept.jobs:
                if row.state not in TERMINAL:
                    act = Act("cancel", row.id)
                    reply = self.server.ask(state.kept, act)
                    after = state._replace(kept=reply.kept, cancels=state.cancels - 1)
                    yield Step(Kind.MAY, f"the client: {told(act, reply)}", after, act, reply.broken)
        if state.deadlines:
            for row in state.kept.jobs:
                if row.state not in TERMINAL and not row.overdue:
                    act = Act("deadline passes", row.id)
                    reply = self.server.ask(state.kept, act)
                    after = state._replace(kept=reply.kept, deadlines=state.deadlines - 1)
                    yield Step(Kind.MAY, f"the deadline of {name_of(row.id)} passes", after, act, reply.broken)

    def _of_worker(self, place: int, hand: Hand) -> Iterator[Step]:
        """A worker that is free asks for work, one that holds works and beats, one that calls calls again."""
        kept = self.state.kept
        match hand.doing:
            case "":
                act = Act("take", nonce=self.fresh)
                reply = self.server.ask(kept, act)
                if reply.kept != kept or reply.broken:
                    yield self._call(Kind.SURE, place, act)
            case "take" | "end":
                assert hand.call is not None
                yield self._call(Kind.SURE, place, hand.call, "again: ")
            case "work":
                yield self._call(Kind.SURE, place, Act("commit", hand.job, hand.fence, stage=hand.stage))
        if hand.fence:
            act = Act("beat", hand.job, hand.fence)
            reply = self.server.ask(kept, act)
            after = self._heard(hand, reply.answer[0] if reply.answer else "")
            if after is not hand or reply.kept != kept or reply.broken:
                yield self.step(Kind.SURE, f"worker {place + 1}: {told(act, reply)}", act, reply, place, after)

    def _call(self, kind: Kind, place: int, act: Act, how: str = "") -> Step:
        """One call that is answered."""
        reply = self.server.ask(self.state.kept, act)
        text = f"worker {place + 1}: {how}{told(act, reply)}"
        return self.step(kind, text, act, reply, place, answered(self.state.hands[place], act, reply))

    def _heard(self, hand: Hand, pulse: str) -> Hand:
        """What a beat says to one that works; one that ends its lease already goes on with that."""
        if hand.doing == "work" and pulse in ("FENCED", "DEADLINE"):
            return Hand(late=hand.late)
        if hand.doing == "work" and pulse == "CANCEL":
            return hand._replace(doing="end", call=Act("release", hand.job, hand.fence, stage=hand.stage))
        return hand

    def _of_reaper(self) -> Iterator[Step]:
        """What would change nothing is no step."""
        state = self.state
        for verb in ("reap", "promote", "expire", "reconcile"):
            act = Act(verb)
            reply = self.server.ask(state.kept, act)
            if reply.kept != state.kept or reply.broken:
                yield Step(
                    Kind.SURE, f"the reaper: {told(act, reply)}", state._replace(kept=reply.kept), act, reply.broken
                )

    def _of_time(self) -> Iterator[Step]:
        """The lease of a job of which no worker knows runs out. Any other runs out only if its worker stands still."""
        beaten = {(hand.job, hand.fence) for hand in self.state.hands if hand.fence}
        for row in self.state.kept.jobs:
            if row.row == "fresh" and (row.id, row.fence) not in beaten:
                act = Act("time passes", row.id)
                reply = self.server.ask(self.state.kept, act)
                text = f"the lease of {name_of(row.id)} runs out"
                yield Step(Kind.SURE, text, self.state._replace(kept=reply.kept), act, reply.broken)


def answered(hand: Hand, act: Act, reply: Reply) -> Hand:
    """What a worker knows after the reply to a call: whatever an end was answered, it has ended."""
    if act.verb == "take" and reply.answer:
        job, fence, stage = reply.answer
        return Hand("work", job, fence, stage, None, hand.late)
    if act.verb == "take nothing" and reply.answer:
        job, fence, stage = reply.answer
        return Hand("end", job, fence, stage, Act("release", job, fence, stage=stage), hand.late)
    return FREE if hand.late is None else Hand(late=hand.late)


def name_of(job: str) -> str:
    return f"job {job.removeprefix('j00-t')}"


def told(act: Act, reply: Reply) -> str:
    """One call and its answer."""
    if act.verb in ("take", "take nothing"):
        if not reply.answer:
            return f"{act.verb} ({act.nonce}) -> no work"
        job, fence, stage = reply.answer
        return f"{act.verb} ({act.nonce}) -> {name_of(job)}, stage {stage}, fence {fence}"
    if act.verb in ("reap", "promote", "expire", "reconcile"):
        return f"{act.verb} -> {', '.join(name_of(one) for one in reply.answer) or 'nothing'}"
    under = f" under {act.fence}" if act.fence else ""
    of = f" of stage {act.stage}" if act.verb == "commit" else ""
    return f"{act.verb} {name_of(act.job)}{of}{under} -> {', '.join(reply.answer)}"
