"""Chains in calls of a fixed size: the same commands in every run, so that costs can be compared to the microsecond.

One turn takes a batch at each stage, ends it there, and hands in as many jobs as have been completed, of the same
tenants: what waits is the same after it as before.
"""

import redis.asyncio

from actors.kernel import Commit, End, Grant, KernelOptions, Partitions, Submission, Submitter, Worker, new_nonce
from bench.chains.load import inboxes
from bench.chains.orders import INPUT, RESULT, SPEC, STAGES, following


class Unsteady(RuntimeError):
    """What waits is not what should: the figures would mean nothing."""


class Lockstep:
    """On one partition, with the verbs of the kernel and nothing around them."""

    def __init__(self, client: redis.asyncio.Redis, batch: int) -> None:
        self.partitions = Partitions(1)
        (self._partition,) = self.partitions
        self._batch = batch
        self._submitter = Submitter(client, self.partitions, KernelOptions())
        self._worker = Worker(client, self.partitions, KernelOptions(), f"lockstep-{new_nonce()}")
        self._inboxes = {stage: inboxes(self.partitions, self._partition, stage) for stage in STAGES}

    async def turn(self) -> None:
        """One batch through all stages. Raises Unsteady when a stage does not give a whole one."""
        ended: list[Grant] = []
        for stage in STAGES:
            taken = await self._worker.take(self._partition, self._inboxes[stage], self._batch, new_nonce())
            if len(taken.grants) != self._batch:
                raise Unsteady(f"{stage} gave {len(taken.grants)} jobs, not {self._batch}")
            ends = await self._worker.commit(self._partition, [_commit(grant) for grant in taken.grants])
            if any(end is not End.OK for end in ends):
                raise Unsteady(f"{stage} answered {ends}")
            ended = taken.grants
        # One after the other: the tenants stay in their order, and every call has as many of them as the one before.
        for grant in ended:
            await self._replace(grant.tenant)

    async def _replace(self, tenant: str) -> None:
        said = await self._submitter.submit(Submission(tenant=tenant, stage=STAGES[0], spec=SPEC, input=INPUT))
        if said.outcome != "ok":
            raise Unsteady(f"a job of {tenant} was answered {said.outcome}")


def _commit(grant: Grant) -> Commit:
    stage = following(grant.stage)
    if stage is None:
        return Commit(grant.job, grant.fence, "done", "", "", RESULT)
    return Commit(grant.job, grant.fence, "next", stage, "cpu", grant.input)
