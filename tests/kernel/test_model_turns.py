"""Random histories of several tenants with limits, two lanes, paused stages and deserted lanes."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from actors.kernel import State
from tests.kernel.histories import Histories, machine_settings
from tests.model.items import Item


class TurnHistories(Histories):
    """Few stages and many jobs, so that windows and limits are full most of the time."""

    stages = ("a",)
    tenants = ("t", "u")
    limit = 2

    @initialize()
    def begin_with_more_than_fits(self) -> None:
        for number in range(5):
            self.place("t", number)
        self.place("u", 0)
        self.ask(self.inboxes("a", "cpu"), 2, 0)

    @rule(data=st.data())
    def submit_another(self, data: st.DataObject) -> None:
        self.place(data.draw(st.sampled_from(self.tenants)), data.draw(st.integers(0, 9)))

    @rule(tenant=st.sampled_from(tenants), limit=st.sampled_from([0, 1, 2, 3]))
    def set_limit(self, tenant: str, limit: int) -> None:
        self.wait(self.keeper.set_limit(tenant, limit))
        self.model.set_limit(tenant, limit)

    @rule(
        data=st.data(), stage=st.sampled_from(["a", "b"]), lane=st.sampled_from(["cpu", "gpu"]), rescue=st.booleans()
    )  # fmt: skip
    def commit_to_a_lane(self, data: st.DataObject, stage: str, lane: Any, rescue: bool) -> None:
        self.send_commits([Item(*fence, "next", stage, lane, rescue) for fence in self.drawn_fences(data)])

    @rule(stage=st.sampled_from(["a", "b"]))
    def reconcile_with_a_deserted_lane(self, stage: str) -> None:
        movable = {
            job.id
            for job in self.model.living()
            if job.state in (State.QUEUED, State.HELD) and job.rescue and job.queue == (stage, "gpu")
        }
        repairs = self.reconcile(((stage, "gpu"),))
        assert {name for name, repair in repairs.items() if repair == "lane"} == movable

    @rule(stage=st.sampled_from(["a", "b"]))
    def pause_or_resume(self, stage: str) -> None:
        if stage in self.model.paused:
            self.wait(self.client.hdel(self.keys.root + "paused", stage))
        else:
            self.wait(self.client.hset(self.keys.root + "paused", stage, "{}"))
        self.model.paused ^= {stage}

    @precondition(lambda self: len({job.stage for job in self.model.living()}) > 1)
    @rule(want=st.integers(1, 4))
    def take_from_two_stages(self, want: int) -> None:
        self.ask([*self.inboxes("a", "cpu"), *self.inboxes("b", "cpu")], want, 0)

    def resume_stages(self) -> None:
        self.wait(self.client.delete(self.keys.root + "paused"))
        self.model.paused.clear()


def test_tenants_with_limits(redis_url: str) -> None:
    TurnHistories.url = redis_url
    run_state_machine_as_test(TurnHistories, settings=machine_settings(100, 40))
