"""One call on what Redis holds. The same call on the same value is made once and then remembered."""

from typing import NamedTuple

from tests.model.exploring.kept import Act, Answer, Kept
from tests.model.exploring.partition import Partition
from tests.model.exploring.properties import CRASH_BUDGET, Broken, broken_by, illegal


class Reply(NamedTuple):
    """What a call did."""

    answer: Answer
    kept: Kept
    broken: tuple[Broken, ...]
    """What must not be."""


class Server:
    """Asks new partitions of one kind, each thawed for one call."""

    def __init__(self, kind: type[Partition] = Partition) -> None:
        self.kind = kind
        self.replies: dict[tuple[Kept, Act], Reply] = {}

    def ask(self, kept: Kept, act: Act) -> Reply:
        reply = self.replies.get((kept, act))
        if reply is None:
            reply = self.replies[kept, act] = self._asked(kept, act)
        return reply

    def _asked(self, kept: Kept, act: Act) -> Reply:
        partition = self.kind(CRASH_BUDGET)
        partition.thaw(kept)
        try:
            answer = partition.do(act)
        except AssertionError as error:
            # What it had done when it was stopped may say more.
            return Reply((), kept, (illegal(act, error), *broken_by(kept, act, ("",), partition.freeze())))
        after = partition.freeze()
        found = broken_by(kept, act, answer, after)
        if not found and after.damaged:
            mended = self.ask(after, Act("reconcile"))
            found = [one for one in mended.broken if one.rule == "found"]
        return Reply(answer, after, tuple(found))
