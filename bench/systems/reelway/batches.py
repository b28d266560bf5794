"""How many jobs travel in one call: counted in the worker where the variant `batches` asks for it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from actors.kernel import Commit, End, Taken, Worker
from bench.systems.reelway.situation import Report

VARIANT = "batches"


class Batches:
    """Calls that carried any job, and the jobs in them."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._items: Counter[str] = Counter()

    def count(self) -> None:
        """From now on, for every worker of this process."""
        take, commit = Worker.take, Worker.commit

        async def counted_take(*arguments: Any, **options: Any) -> Taken:
            taken = await take(*arguments, **options)
            self._add("take", len(taken.grants))
            return taken

        async def counted_commit(worker: Worker, partition: str, commits: Sequence[Commit]) -> list[End]:
            self._add("commit", len(commits))
            return await commit(worker, partition, commits)

        Worker.take, Worker.commit = counted_take, counted_commit  # type: ignore[method-assign, assignment]

    def say(self, report: Report) -> None:
        means = {verb: self._items[verb] / self._calls[verb] for verb in ("take", "commit") if self._calls[verb]}
        report.say(VARIANT, **means)

    def _add(self, verb: str, items: int) -> None:
        if items:
            self._calls[verb] += 1
            self._items[verb] += items
