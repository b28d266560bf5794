"""An installation of one partition on a server that belongs to a benchmark, and the ways into its states."""

import itertools
from collections.abc import Sequence

import redis.asyncio

from actors.kernel import (
    Child,
    Commit,
    Endpoint,
    Fail,
    Grant,
    Keeper,
    KernelOptions,
    Partitions,
    Spawn,
    Submission,
    Submitter,
    Worker,
)
from actors.kernel.scripts import Scripts, script, verbs
from actors.kernel.system_scripts import SystemScripts, system_script
from bench.bodies import COMPLETED, INPUTS, RESULT, SPEC

PARTITION = "00"
STAGE, FOLLOWING = "transcode", "store"
INBOXES = ("again", "alone", "high", "normal", "low")
SYSTEM_VERBS = ("announce", "copy_pauses", "enter", "pause", "survey", "withdraw", "workers")
WIDTH = 50
"""Jobs the widest worker runs at once, and so the window of a tenant."""
ERROR = b'{"code":"SOURCE_UNREACHABLE","message":"The source did not answer."}'
LEASE_S = 600.0
"""So long that nothing runs out while a case is prepared."""
PAST_MS = 1


class House:
    """Clients of one empty partition. `fresh` empties it again."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        options: KernelOptions | None = None,
        *,
        spec: bytes = SPEC,
        body: bytes = INPUTS[STAGE],
    ) -> None:
        """`spec` and `body` (the input of every stage) are those of a real conversion, unless others are given."""
        self.client = client
        self._spec = spec
        self._body = body
        self.options = options or KernelOptions(lease_s=LEASE_S)
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys(PARTITION)
        self.submitter = Submitter(client, self.partitions, self.options)
        self.keeper = Keeper(client, self.partitions, self.options)
        self.worker = Worker(client, self.partitions, self.options, "worker-1")
        self.scripts = Scripts(client, self.options)
        self.system = SystemScripts(client)
        self._numbers = itertools.count()

    async def load(self) -> None:
        """Scripts are compiled now, so that no call pays for it."""
        for verb in verbs():
            await self.client.script_load(script(verb).text)
        for verb in SYSTEM_VERBS:
            await self.client.script_load(system_script(verb).text)

    async def fresh(self) -> None:
        """Nothing is there but what a running installation always has: the feed, inboxes with groups, their width."""
        await self.client.flushall()
        await self.submit(tenant="earlier")
        for stage in (STAGE, FOLLOWING):
            for grant in await self.take(WIDTH, stage):
                await self.worker.commit(PARTITION, [commit(grant, "next" if stage == STAGE else "done")])

    def new_nonce(self) -> str:
        """As long as a real one, but always in the same order, so that runs are equal."""
        return f"{next(self._numbers):016x}"

    def inboxes(self, stage: str = STAGE) -> list[str]:
        return [self.keys.inbox(stage, "cpu", name) for name in INBOXES]

    async def submit(
        self,
        tenant: str = "acme",
        stage: str = STAGE,
        *,
        start_at_ms: int | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        submission = Submission(
            tenant=tenant,
            stage=stage,
            spec=self._spec,
            input=self._body,
            start_at_ms=start_at_ms,
            idempotency_key=idempotency_key,
        )
        return (await self.submitter.submit(submission)).job

    async def queue(self, count: int, stage: str = STAGE, *, tenants: int = 1) -> list[str]:
        """Jobs in the inbox of a stage; held where a tenant has more than its window."""
        return [await self.submit(f"acme-{number % tenants}", stage) for number in range(count)]

    async def take(self, want: int, stage: str = STAGE) -> list[Grant]:
        return (await self.worker.take(PARTITION, self.inboxes(stage), want, self.new_nonce())).grants

    async def start(self, count: int, stage: str = STAGE, *, tenants: int = 1) -> list[Grant]:
        """Running jobs."""
        await self.queue(count, stage, tenants=tenants)
        grants: list[Grant] = []
        while len(grants) < count:
            grants += await self.take(min(WIDTH, count - len(grants)), stage)
        return grants

    async def end(self, count: int, cls: str = "transient", *, tenants: int = 1) -> list[str]:
        """Delayed jobs, or failed ones with `cls` permanent."""
        grants = await self.start(count, tenants=tenants)
        for first in range(0, count, WIDTH):
            await self.worker.fail(PARTITION, [fail(grant, cls) for grant in grants[first : first + WIDTH]])
        return [grant.job for grant in grants]

    async def children(self, count: int) -> tuple[Grant, list[Grant]]:
        """A waiting parent (its former grant) and its running children."""
        (parent,) = await self.start(1)
        await self.worker.spawn(PARTITION, spawn(parent, range(1, count + 1)))
        await self.worker.commit(PARTITION, [commit(parent, "split")])
        return parent, await self.take(count)

    async def endpoint(self, tenant: str = "acme-0") -> None:
        await self.keeper.set_endpoint(
            tenant, "hook", Endpoint({"job.completed": True}, "https://hooks.example/reelway", 3_600_000)
        )

    async def past(self, ledger: str, jobs: Sequence[str]) -> None:
        """Lets the rows of these jobs in `leases`, `due` or `deadlines` run out."""
        await self.client.zadd(ledger, dict.fromkeys(jobs, PAST_MS))


def commit(grant: Grant, kind: str = "next") -> Commit:
    if kind == "done":
        return Commit(grant.job, grant.fence, "done", "", "", RESULT, (), COMPLETED)
    return Commit(
        grant.job, grant.fence, "split" if kind == "split" else "next", FOLLOWING, "cpu", grant.input, percent=50.0
    )


def fail(grant: Grant, cls: str = "transient") -> Fail:
    return Fail(grant.job, grant.fence, "permanent" if cls == "permanent" else "transient", 60_000, 3, ERROR, ERROR)


def spawn(parent: Grant, numbers: Sequence[int]) -> Spawn:
    children = tuple(Child(number=number, stage=STAGE, spec=parent.spec, input=parent.input) for number in numbers)
    return Spawn(parent.job, parent.fence, children)
