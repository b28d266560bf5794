"""A situation in which one call of a verb is measured."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from bench.house import House

Act = Callable[[], Awaitable[Any]]
"""The call that is measured: one script."""
Prepare = Callable[[House, int], Awaitable[Act]]
BATCH = 25


class Case(msgspec.Struct, frozen=True):
    """A verb in one situation."""

    verb: str
    what: str
    prepare: Prepare
    """Brings a fresh house into the situation, for so many items; returns the call."""
    sizes: tuple[int, ...]
    """Items a call."""

    @property
    def name(self) -> str:
        return f"{self.verb}, {self.what}"


class Cases:
    """Cases in the order of a table. Each is the function that prepares it."""

    def __init__(self) -> None:
        self._cases: list[Case] = []

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    def single(self, verb: str, what: str) -> Callable[[Callable[[House], Awaitable[Act]]], None]:
        """Adds a case of one item."""

        def add(prepare: Callable[[House], Awaitable[Act]]) -> None:
            self._cases.append(Case(verb, what, lambda house, _: prepare(house), (1,)))

        return add

    def sized(self, verb: str, what: str, *sizes: int) -> Callable[[Prepare], None]:
        """Adds a case of several sizes."""

        def add(prepare: Prepare) -> None:
            self._cases.append(Case(verb, what, prepare, sizes))

        return add
