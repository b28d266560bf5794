"""How a running job has children: the port behind `Task.spawn` and `Task.children`."""

from collections.abc import Sequence

from actors.kernel.connection import StoreFull, persist
from actors.kernel.handler import Cancelled, Throttled
from actors.kernel.items import Child, ChildRow, Grant, OnChildFailure, Spawn, check_bodies
from actors.kernel.keys import Partitions
from actors.kernel.worker import Worker

CHILDREN_PER_CALL = 100
FULL_RETRY_S = 15.0


class WorkerFamily:
    """Children through the worker's connection. Calls are repeat-safe and sent until they are answered."""

    def __init__(self, worker: Worker, partitions: Partitions) -> None:
        self._worker = worker
        self._partitions = partitions

    async def spawn(self, grant: Grant, children: Sequence[Child], on_child_failure: OnChildFailure) -> None:
        """See `Task.spawn`."""
        partition = self._partitions.of_job(grant.job)
        for child in children:
            check_bodies(child.spec, child.input)
        for first in range(0, len(children), CHILDREN_PER_CALL):
            page = tuple(children[first : first + CHILDREN_PER_CALL])
            asked = Spawn(grant.job, grant.fence, page, on_child_failure)
            try:
                spawned = await persist(lambda asked=asked: self._worker.spawn(partition, asked))  # type: ignore[misc]
            except StoreFull as error:
                raise Throttled("STORE_FULL", "no room for children", FULL_RETRY_S) from error
            if spawned.status == "DEEP" or "MANY" in spawned.outcomes:
                message = "a job has at most 10 000 children, and three levels of them"
                raise ValueError(message)
            if spawned.status != "OK":
                raise Cancelled("CANCELLED", f"spawn answered {spawned.status}")

    async def children(self, grant: Grant, first: int, count: int) -> list[ChildRow]:
        """See `Task.children`."""
        partition = self._partitions.of_job(grant.job)
        return await persist(lambda: self._worker.children(partition, grant.job, first, count))
