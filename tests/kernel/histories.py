"""One random history on one empty database, in step with the model. The machines of test_model*.py add to its rules."""

import sys
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.kernel import (
    TERMINAL,
    Fail,
    Release,
    State,
)
from actors.kernel.keys import PRIORITIES
from tests.kernel.in_step import BODY, InStep
from tests.model.following import Inbox
from tests.model.items import Item

REASON = b'{"code":"X"}'
ROUNDS = 60
"""Rounds of a reaper and a worker within which every job has to end."""


def machine_settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


class Histories(InStep, RuleBasedStateMachine):
    """Submissions, one worker, a reaper. Ends by letting everything end."""

    url = ""
    stages: ClassVar[tuple[str, ...]] = ("a", "b")
    tenants: ClassVar[tuple[str, ...]] = ("t",)
    window = 2
    limit = 0

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        InStep.__init__(self, self.url, self.window, self.limit)
        self.percents: dict[str, float] = {}

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.everything_ends()
        finally:
            self.wait(self.client.aclose())
            self.loop.close()

    # What follows uses the model to draw what is worth trying.

    def living(self, *states: State) -> list[str]:
        return [job.id for job in self.model.living() if not states or job.state in states]

    def some(self, data: st.DataObject, names: list[str]) -> list[str]:
        return sorted(data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))) if names else []

    def drawn_fences(self, data: st.DataObject) -> list[tuple[str, str]]:
        # Mostly fences that hold or have just been lost, since most of the others are refused in the same way.
        latest = [(job.id, job.fence) for job in self.model.jobs.values() if job.fence]
        standing = [(job.id, job.fence) for job in self.model.jobs.values() if job.state == State.RUNNING]
        unknown = [("j00-unknown", "1.x"), (f"j00-{self.tenants[0]}0", "7.never")]
        pools = [pool for pool in (standing, standing, latest, self.fences, unknown) if pool]
        return data.draw(st.lists(st.sampled_from(data.draw(st.sampled_from(pools))), min_size=1, max_size=3))

    def inboxes(self, stage: str, lane: str) -> list[Inbox]:
        return [(stage, lane, name) for name in ("again", "alone", *PRIORITIES)]

    @rule(
        data=st.data(),
        number=st.integers(0, 4),
        priority=st.sampled_from(PRIORITIES),
        scheduled=st.sampled_from([False] * 4 + [True]),
    )
    def submit(self, data: st.DataObject, number: int, priority: Any, scheduled: bool) -> None:
        tenant, stage = data.draw(st.sampled_from(self.tenants)), data.draw(st.sampled_from(self.stages))
        self.place(tenant, number, stage, priority=priority, scheduled=scheduled)

    @precondition(lambda self: self.living(State.QUEUED, State.HELD))
    @rule(data=st.data(), want=st.integers(1, 3), busy=st.sampled_from([False, False, True]))
    def take(self, data: st.DataObject, want: int, busy: bool) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(self.living(State.QUEUED, State.HELD)))]
        holding = int(busy and bool(self.living(State.RUNNING)))
        inboxes = [(*job.queue, job.pinned)] if job.pinned else self.inboxes(*job.queue)
        self.ask(inboxes, want, holding)

    @precondition(lambda self: self.living(State.QUEUED, State.HELD))
    @rule(data=st.data(), want=st.integers(1, 3))
    def work(self, data: st.DataObject, want: int) -> None:
        """A worker takes and goes on with some of what it got."""
        job = self.model.jobs[data.draw(st.sampled_from(self.living(State.QUEUED, State.HELD)))]
        if not job.pinned:
            granted = self.ask(self.inboxes(*job.queue), want, 0)
            kinds = [data.draw(st.sampled_from(["a", "b", "done", ""])) for _ in granted]
            keeps = data.draw(st.booleans())
            self.send_commits(
                [
                    Item(*fence, "done") if kind == "done" else Item(*fence, "next", kind, keep=self.keeper_of(keeps))
                    for fence, kind in zip(granted, kinds, strict=True)
                    if kind
                ]
            )

    def keeper_of(self, keeps: bool) -> str:
        """The worker that would go on with the next stage, if any."""
        # Where hints are lost, nobody can tell from the jobs whether one waits.
        return "w" if keeps and self.following.sound else ""

    @precondition(lambda self: self.model.granted)
    @rule(data=st.data())
    def take_again_after_a_lost_reply(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from([asked for asked in self.takes if asked.nonce in self.model.granted]))
        self.ask(list(asked.inboxes), asked.want, asked.holding, asked.nonce)

    @rule(data=st.data(), percent=st.none() | st.integers(0, 100))
    def beat(self, data: st.DataObject, percent: int | None) -> None:
        self.send_beats([(job, fence, percent) for job, fence in self.drawn_fences(data)])

    @rule(data=st.data(), following=st.none() | st.sampled_from(["a", "b"]), percent=st.none() | st.integers(0, 100))
    def commit(self, data: st.DataObject, following: str | None, percent: int | None) -> None:
        kind: Any = "next" if following else "done"
        keeps = data.draw(st.booleans()) if following else False
        items = [
            Item(*fence, kind, following or "", percent=percent, keep=self.keeper_of(keeps))
            for fence in self.drawn_fences(data)
        ]
        self.send_commits(items)

    @precondition(lambda self: self.kept and self.following.sound)
    @rule(data=st.data())
    def commit_again_after_a_lost_reply(self, data: st.DataObject) -> None:
        self.send_commits([data.draw(st.sampled_from(self.kept))])

    @rule(
        data=st.data(),
        cls=st.sampled_from(["transient", "stalled", "throttled", "permanent"]),
        budget=st.integers(1, 3),
    )
    def fail(self, data: st.DataObject, cls: Any, budget: int) -> None:
        items = self.drawn_fences(data)
        fails = [Fail(job, fence, cls, 600_000, budget, BODY, REASON) for job, fence in items]
        assert self.wait(self.worker.fail("00", fails)) == self.model.fail(items, cls, budget)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        items = self.drawn_fences(data)
        releases = [Release(job, fence, REASON) for job, fence in items]
        assert self.wait(self.worker.release("00", releases)) == self.model.release(items)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.model.jobs)))
        assert self.wait(self.submitter.cancel(job, "test")).outcome == self.model.cancel(job)

    @precondition(lambda self: self.living(State.RUNNING))
    @rule(data=st.data())
    def leases_run_out(self, data: st.DataObject) -> None:
        self.reap(self.some(data, self.living(State.RUNNING)))

    @precondition(lambda self: self.living(State.DELAYED))
    @rule(data=st.data())
    def delays_end(self, data: st.DataObject) -> None:
        self.promote(self.some(data, self.living(State.DELAYED)))

    @precondition(lambda self: self.living())
    @rule(data=st.data(), met=st.booleans())
    def deadlines_pass(self, data: st.DataObject, met: bool) -> None:
        """`met`: another verb meets the job before `expire` does."""
        names = self.some(data, self.living())[:2]
        for name in names:
            self.wait(self.client.hset(self.keys.job(name), "deadline", 1))
            self.model.jobs[name].overdue = True
        if not met:
            self.wait(self.client.zadd(self.keys.deadlines, dict.fromkeys(names, 1)))
            for name in names:
                self.model.jobs[name].expires = True
            self.expire()

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), from_first=st.booleans())
    def replay(self, data: st.DataObject, from_first: bool) -> None:
        job = data.draw(st.sampled_from(self.model.of_state(*TERMINAL) or sorted(self.model.jobs)))
        self.send_replay(job, from_first=from_first, worker=data.draw(st.sampled_from(["", "", "q"])))

    @invariant()
    def partition_is_as_in_the_model(self) -> None:
        self.wait(self.contents.learn(self.model))
        self.wait(self.contents.compare(self.model))
        assert self.following.unsettled() == []
        self.percents = {name: reached for name, reached in self.percents.items() if name in self.model.jobs}
        for job in self.model.jobs.values():
            assert job.percent > self.percents.get(job.id, 0.0) - 1e-3, "percent never falls"
            self.percents[job.id] = job.percent

    def everything_ends(self) -> None:
        """Whatever has happened: a reaper and a worker bring every job to one end, and nothing is left."""
        self.resume_stages()
        for _ in range(ROUNDS):
            if not self.model.living():
                break
            self.reap(sorted(self.living(State.RUNNING)))
            self.promote(sorted(self.living(State.DELAYED)))
            self.reconcile()
            for inboxes in self.all_inboxes():
                granted = self.ask(inboxes, 2, 0)
                self.send_commits([Item(*fence, "done") for fence in granted])
            self.partition_is_as_in_the_model()
        assert self.model.living() == [], "every job ends"
        self.wait(self.contents.check_quiet(self.model))

    def all_inboxes(self) -> list[list[Inbox]]:
        queues = sorted({job.queue for job in self.model.living()})
        return [[*self.inboxes(*queue), (*queue, "@q")] for queue in queues]

    def resume_stages(self) -> None:
        """Every stage is worked on from now on."""
