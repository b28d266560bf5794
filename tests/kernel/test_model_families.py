"""Random histories of parents and children: spawn, split, ends in both directions, replay."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from actors.kernel import TERMINAL, Child, Spawn, State
from tests.kernel.histories import Histories, machine_settings
from tests.kernel.in_step import BODY
from tests.model import Job
from tests.model.items import Item


class FamilyHistories(Histories):
    """One tenant; every stage may have children."""

    stages = ("a",)

    @initialize(
        limit=st.sampled_from([0, 2]),
        on_child_failure=st.sampled_from(["go_on", "fail"]),
        waits=st.booleans(),
        deep=st.booleans(),
    )
    def begin_with_a_family(self, limit: int, on_child_failure: str, waits: bool, deep: bool) -> None:
        self.wait(self.keeper.set_limit("t", limit))
        self.model.set_limit("t", limit)
        self.place("t", 0)
        [fence] = self.ask(self.inboxes("a", "cpu"), 1, 0)
        self.spawn_of(fence, on_child_failure, [1, 2, 3])
        if waits:
            self.send_commits([Item(*fence, "split", "b", percent=10, reach=90)])
            child, *_ = self.ask(self.inboxes("b", "cpu"), 2, 0)
            if deep:
                self.spawn_of(child, on_child_failure, [1, 2])
                self.send_commits([Item(*child, "split", "b", percent=20, reach=80)])

    def spawn_of(self, fence: tuple[str, str], on_child_failure: Any, numbers: list[int]) -> None:
        name, _ = fence
        parent = self.model.jobs.get(name)
        numbers = [number for number in numbers if f"{name}.{number}" not in self.model.places.ghost_names()]
        children = tuple(
            Child(number=number, stage="b", spec=BODY, input=BODY, listed=number == 1) for number in numbers
        )
        spawned = self.wait(self.worker.spawn("00", Spawn(*fence, children, on_child_failure)))
        known = [
            Job(
                f"{name}.{number}",
                parent.tenant if parent else "",
                "b",
                priority=parent.priority if parent else "normal",
                created_ms=self.wait(self.contents.created_ms(f"{name}.{number}")),
                parent=name,
                overdue=parent.overdue if parent else False,
                expires=parent.overdue if parent else False,
            )
            for number in numbers
        ]
        assert [spawned.status, *spawned.outcomes] == self.model.spawn(*fence, on_child_failure, known)

    @precondition(lambda self: self.living(State.RUNNING))
    @rule(
        data=st.data(),
        on_child_failure=st.sampled_from(["go_on", "fail"]),
        numbers=st.lists(st.integers(1, 4), unique=True, min_size=1, max_size=3).map(sorted),
    )
    def spawn(self, data: st.DataObject, on_child_failure: str, numbers: list[int]) -> None:
        self.spawn_of(self.drawn_fences(data)[0], on_child_failure, numbers)

    @precondition(lambda self: any(self.model.jobs[name].open_rows for name in self.living(State.RUNNING)))
    @rule(
        data=st.data(),
        percent=st.none() | st.integers(0, 50),
        reach=st.integers(50, 100),
        following=st.sampled_from(["a", "b"]),
    )
    def split(self, data: st.DataObject, percent: int | None, reach: int, following: str) -> None:
        parents = [name for name in self.living(State.RUNNING) if self.model.jobs[name].open_rows]
        parent = self.model.jobs[data.draw(st.sampled_from(parents))]
        self.send_commits([Item(parent.id, parent.fence, "split", following, percent=percent, reach=reach)])

    def children_of_waiting(self, *states: State) -> list[str]:
        children = (job for job in self.model.jobs.values() if job.state in states and job.parent)
        return [job.id for job in children if job.parent in self.living(State.WAITING)]

    @precondition(lambda self: self.children_of_waiting(State.RUNNING))
    @rule(data=st.data(), percent=st.integers(0, 100))
    def beat_a_child(self, data: st.DataObject, percent: int) -> None:
        child = self.model.jobs[data.draw(st.sampled_from(self.children_of_waiting(State.RUNNING)))]
        self.send_beats([(child.id, child.fence, percent)])

    @precondition(lambda self: self.children_of_waiting(State.RUNNING))
    @rule(data=st.data(), percent=st.integers(0, 100), following=st.sampled_from(["a", "b", ""]))
    def commit_a_child(self, data: st.DataObject, percent: int, following: str) -> None:
        child = self.model.jobs[data.draw(st.sampled_from(self.children_of_waiting(State.RUNNING)))]
        kind: Any = "next" if following else "done"
        self.send_commits([Item(child.id, child.fence, kind, following, percent=percent)])

    @precondition(lambda self: self.children_of_waiting(State.FAILED, State.CANCELLED, State.EXPIRED))
    @rule(data=st.data())
    def replay_a_child(self, data: st.DataObject) -> None:
        ended = self.children_of_waiting(State.FAILED, State.CANCELLED, State.EXPIRED)
        self.send_replay(data.draw(st.sampled_from(ended)))

    @precondition(lambda self: any(job.waited and job.state in TERMINAL for job in self.model.jobs.values()))
    @rule(data=st.data())
    def replay_a_parent_that_waited(self, data: st.DataObject) -> None:
        ended = [job.id for job in self.model.jobs.values() if job.waited and job.state in TERMINAL]
        self.send_replay(data.draw(st.sampled_from(ended)))

    @rule()
    def reconcile_now(self) -> None:
        self.reconcile()

    @precondition(lambda self: self.model.of_state(*TERMINAL))
    @rule(data=st.data())
    def purge_and_forget(self, data: st.DataObject) -> None:
        self.forget(self.some(data, self.model.of_state(*TERMINAL)))


def test_parents_and_children(redis_url: str) -> None:
    FamilyHistories.url = redis_url
    run_state_machine_as_test(FamilyHistories, settings=machine_settings(120, 40))
