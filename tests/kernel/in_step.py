"""One partition in step with the model: every call is made on both, and answers the same."""

import asyncio
from typing import Any

import redis.asyncio

from actors.kernel import (
    Beat,
    Commit,
    Keeper,
    KernelOptions,
    Partitions,
    RedisOptions,
    Submission,
    Submitter,
    Worker,
    connect,
)
from tests.kernel.contents import Contents
from tests.model import CRASH_BUDGET, Job, Model
from tests.model.following import Answer, Asked, Following, Inbox
from tests.model.items import Item

BODY = b"{}"


class InStep:
    """One worker, one submitter and one reaper on an empty database."""

    def __init__(self, url: str, window: int, limit: int, crash_budget: int = CRASH_BUDGET) -> None:
        self.loop = asyncio.new_event_loop()
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys("00")
        self.client: redis.asyncio.Redis = connect(RedisOptions(url=url))
        options = KernelOptions(lease_s=60, crash_budget=crash_budget, window=window, tenant_limit=limit)
        self.submitter = Submitter(self.client, self.partitions, options)
        self.worker = Worker(self.client, self.partitions, options, "w")
        self.keeper = Keeper(self.client, self.partitions, options)
        self.model = Model(window, limit, crash_budget)
        self.contents = Contents(self.client, self.keys)
        self.following = Following(self.model)
        self.fences: list[tuple[str, str]] = []
        """Every fence ever granted."""
        self.takes: list[Asked] = []
        self.kept: list[Item] = []
        """Every commit after which its worker went on with the job."""
        self.wait(self.client.flushall())

    def wait(self, call: Any) -> Any:
        async def answered() -> Any:
            return await call

        return self.loop.run_until_complete(answered())

    def ask(self, inboxes: list[Inbox], want: int, holding: int, nonce: str = "") -> list[tuple[str, str]]:
        asked = Asked(inboxes, want, holding, nonce or f"n{len(self.takes)}")
        if not nonce:
            self.takes.append(asked)
        self.wait(self.contents.learn(self.model))
        names = [self.keys.inbox(*inbox) for inbox in inboxes]
        taken = self.wait(self.worker.take("00", names, want, asked.nonce, holding=holding))
        granted = [(grant.job, grant.fence) for grant in taken.grants]
        self.following.take(
            asked, Answer(granted, taken.paused, taken.clear), self.wait(self.contents.seen(self.model))
        )
        self.fences += [fence for fence in granted if fence not in self.fences]
        return granted

    def place(
        self, tenant: str, number: int, stage: str = "a", *, priority: Any = "normal", scheduled: bool = False
    ) -> None:
        name = f"j00-{tenant}{number}"
        if name in self.model.places.ghost_names():
            return
        start_at_ms = self.wait(self.keeper.server_time_ms()) + 600_000 if scheduled else None
        submission = Submission(
            tenant=tenant, stage=stage, spec=BODY, input=BODY, job=name, priority=priority, start_at_ms=start_at_ms
        )
        submitted = self.wait(self.submitter.submit(submission))
        created_ms = self.wait(self.contents.created_ms(name))
        job = Job(name, tenant, stage, priority=priority, created_ms=created_ms)
        assert submitted.outcome == self.model.submit(job, scheduled=scheduled)
        assert submitted.state == self.model.jobs[name].state, submitted

    def send_beats(self, items: list[tuple[str, str, float | None]]) -> None:
        assert self.wait(self.worker.beat("00", [Beat(*item) for item in items])) == self.model.beat(items)

    def send_commits(self, items: list[Item]) -> None:
        commits = [
            Commit(
                job=item.job,
                fence=item.fence,
                kind=item.kind,
                stage=item.stage,
                lane=item.lane,
                rescue=item.rescue,
                percent=item.percent,
                reach=item.reach,
                keep=item.keep,
                body=BODY,
            )
            for item in items
        ]
        answers = self.wait(self.worker.commit("00", commits))
        assert answers == self.model.commit(items, answers)
        kept = [item for item, end in zip(items, answers, strict=True) if end == "KEPT"]
        fences = [(item.job, self.model.jobs[item.job].fence) for item in kept]
        self.fences += [fence for fence in fences if fence not in self.fences]
        self.kept += [item for item in kept if item not in self.kept]

    def send_replay(self, job: str, *, from_first: bool = False, worker: str = "") -> None:
        replayed = self.wait(self.submitter.replay(job, from_first=from_first, worker=worker))
        expected = self.model.replay(job, from_first=from_first, pinned=f"@{worker}" if worker else "")
        assert (replayed.outcome, replayed.state) == expected, (job, replayed, expected)

    def reap(self, names: list[str]) -> None:
        if names:
            self.wait(self.client.zadd(self.keys.leases, dict.fromkeys(names, 1)))
        reaped = self.wait(self.keeper.reap("00", self.wait(self.keeper.server_time_ms())))
        assert reaped.jobs == self.model.reap(names)

    def promote(self, names: list[str], *, rows: bool = True) -> None:
        if names and rows:
            self.wait(self.client.zadd(self.keys.due, dict.fromkeys(names, 1)))
        assert self.wait(self.keeper.promote("00")) == self.model.promote(names)

    def expire(self) -> list[str]:
        """Ends what is overdue; terminal jobs whose retention is over."""
        expired = self.wait(self.keeper.expire("00"))
        assert expired.jobs == self.model.expire()
        retained: list[str] = expired.retained
        return retained

    def forget(self, names: list[str]) -> None:
        """Ends the retention of terminal jobs and sweeps them."""
        assert self.wait(self.keeper.purge("00", names)) == names
        retained = self.expire()
        assert sorted(retained) == names
        assert self.wait(self.keeper.retention("00", retained)) == retained
        self.model.forget(names)

    def reconcile(self, deserted: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
        """One round; its repairs."""
        self.wait(self.contents.learn(self.model))
        cursor, found = "0", {}
        while True:
            names = [f"{stage}:{lane}" for stage, lane in deserted]
            cursor, repairs = self.wait(self.keeper.reconcile("00", cursor, names))
            found.update(repairs)
            if cursor == "0":
                break
        self.following.reconcile(self.wait(self.contents.seen(self.model)), set(deserted))
        return found
