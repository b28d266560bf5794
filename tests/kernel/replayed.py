"""Explored histories, made again with the scripts: every call must answer as it did there and leave the same behind."""

import copy
from collections.abc import Iterable
from typing import Any

from actors.kernel import Beat, Commit, Fail, Release
from actors.kernel.scripts import text
from tests.kernel.in_step import BODY, InStep
from tests.model.exploring.kept import ERROR_BUDGET, INBOXES, STAGES, Act, Answer
from tests.model.exploring.partition import Partition
from tests.model.exploring.properties import CRASH_BUDGET

REASON = b'{"code":"X"}'
LONG_MS = 600_000


class Replayed(InStep):
    """One history after another on one server."""

    def __init__(self, url: str, kind: type[Partition] = Partition) -> None:
        InStep.__init__(self, url, window=2, limit=0, crash_budget=CRASH_BUDGET)
        self._kind = kind
        self.partition = kind(CRASH_BUDGET)
        self._saved: tuple[Partition, dict[str, bytes]] = self.partition, {}
        self.calls = 0

    def close(self) -> None:
        self.wait(self.client.aclose())
        self.loop.close()

    def history(self, jobs: int, acts: Iterable[Act]) -> None:
        """From the submission of all jobs on."""
        self.wait(self.client.flushall())
        self.model = self.partition = self._kind(CRASH_BUDGET)
        for number in range(1, jobs + 1):
            self.place("t", number)
            self.partition.queue(self.partition.jobs[f"j00-t{number}"])
        self.wait(self._compare())
        for act in acts:
            self._do(act)

    def _do(self, act: Act) -> None:
        self.calls += 1
        match act.verb:
            case "saved":
                self._saved = copy.deepcopy(self.partition), self.wait(self._dumped())
            case "power fails":
                self.partition = self.model = self._saved[0]
                self.wait(self._restore(self._saved[1]))
            case _:
                expected = self.partition.do(act)
                found = self.wait(self._called(act))
                assert sorted(found) == sorted(expected), f"{act}: {found} from Redis, {expected} from the model"
        self.wait(self._compare())

    async def _called(self, act: Act) -> Answer:
        fence = (act.job, act.fence)
        match act.verb:
            case "take" | "take nothing":
                names = [self._key(inbox) for inbox in INBOXES]
                taken = await self.worker.take("00", names, int(act.verb == "take"), act.nonce)
                return tuple(one for grant in taken.grants for one in (grant.job, grant.fence, grant.stage))
            case "beat":
                return tuple(await self.worker.beat("00", [Beat(*fence)]))
            case "commit" if act.stage == STAGES[-1]:
                return tuple(await self.worker.commit("00", [Commit(*fence, "done", "", "", BODY)]))
            case "commit":
                following = STAGES[STAGES.index(act.stage) + 1]
                return tuple(await self.worker.commit("00", [Commit(*fence, "next", following, "cpu", BODY)]))
            case "fail":
                failure = Fail(*fence, "transient", LONG_MS, ERROR_BUDGET, BODY, REASON)
                return tuple(await self.worker.fail("00", [failure]))
            case "release":
                return tuple(await self.worker.release("00", [Release(*fence, REASON)]))
            case "cancel":
                return ((await self.submitter.cancel(act.job, "test")).outcome,)
        return await self._kept_order(act)

    async def _kept_order(self, act: Act) -> Answer:
        match act.verb:
            case "reap":
                reaped = await self.keeper.reap("00", await self.keeper.server_time_ms())
                return tuple(f"{name} {outcome}" for name, outcome in reaped.jobs.items())
            case "promote":
                due = await self.client.zrange(self.keys.due, 0, -1)
                if due:
                    await self.client.zadd(self.keys.due, {text(name): 1 for name in due})
                return tuple(await self.keeper.promote("00"))
            case "expire":
                return tuple((await self.keeper.expire("00")).jobs)
            case "reconcile":
                _, repairs = await self.keeper.reconcile("00", "0")
                return tuple(f"{name} {repair}" for name, repair in repairs.items())
        await self._happened(act)
        return ()

    async def _happened(self, act: Act) -> None:
        inbox = self._key(act.stage) if act.stage else ""
        match act.verb:
            case "deadline passes":
                await self.client.hset(self.keys.job(act.job), "deadline", "1")
                await self.client.zadd(self.keys.deadlines, {act.job: 1}, xx=True)
            case "time passes":
                await self.client.zadd(self.keys.leases, {act.job: 1}, xx=True)
            case "row lost":
                assert await self.client.zrem(self.keys.leases, act.job) + await self.client.zrem(
                    self.keys.due, act.job
                )
            case "hint lost":
                assert await self.client.xdel(inbox, await self.client.hget(self.keys.job(act.job), "entry") or "0-1")
            case "hint doubled":
                await self.client.xadd(inbox, {"job": act.job})
            case "group lost":
                assert await self.client.xgroup_destroy(inbox, "rw")
            case "group at its end":
                if not await self.client.xinfo_groups(inbox):
                    await self.client.xgroup_create(inbox, "rw", "0")
                await self.client.xgroup_setid(inbox, "rw", "$")
            case _:
                raise ValueError(act.verb)

    async def _dumped(self) -> dict[str, bytes]:
        return {text(key): await self.client.dump(key) or b"" for key in await self.client.keys("*")}

    async def _restore(self, dumped: dict[str, bytes]) -> None:
        await self.client.flushall()
        for key, value in dumped.items():
            await self.client.restore(key, 0, value)

    async def _compare(self) -> None:
        """What the jobs are, and what leads to them."""
        partition = self.partition
        if all(job.state not in ("running", "delayed") or job.id in partition.rows for job in partition.living()):
            await self.contents.compare(partition)
        leases: list[Any] = await self.client.zrange(self.keys.leases, 0, -1, withscores=True)
        rows = {text(name): "out" if score == 1 else "fresh" for name, score in leases}
        expected_rows = {name: row for name, row in partition.rows.items() if row != "due"}
        assert rows == expected_rows, f"leases {rows} in Redis, in the model {expected_rows}"
        async with self.client.pipeline(transaction=False) as pipe:
            for name in partition.jobs:
                pipe.hmget(self.keys.job(name), "inbox", "entry")
            for inbox in INBOXES:
                pipe.xrange(self._key(inbox))
                pipe.xinfo_groups(self._key(inbox))
            replies: list[Any] = await pipe.execute(raise_on_error=False)
        streams = replies[len(partition.jobs) :]
        named = {
            name: tuple(map(text, reply)) for name, reply in zip(partition.jobs, replies, strict=False) if all(reply)
        }
        for inbox, entries, groups in zip(INBOXES, streams[::2], streams[1::2], strict=True):
            place = _place(groups[0]["last-delivered-id"]) if isinstance(groups, list) and groups else (0, 0)
            here = self._key(inbox).removeprefix(self.keys.root)
            found = [
                (job := text(fields[b"job"]), _place(entry) <= place, named.get(job) == (here, text(entry)))
                for entry, fields in entries
            ]
            hints = partition.streams[inbox]
            expected = [(hint.job, hint.delivered, partition.hints.get(hint.job) is hint) for hint in hints]
            assert found == expected, f"{inbox}: {found} in Redis, in the model {expected}"

    def _key(self, inbox: str) -> str:
        stage, _, name = inbox.partition(":")
        return self.keys.inbox(stage, "cpu", name)


def _place(entry: bytes) -> tuple[int, ...]:
    return tuple(map(int, entry.split(b"-")))
