"""Who is in the hands of which fault: two faults of one kind on one victim would undo each other."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar
from weakref import WeakKeyDictionary

from tests.faults.house.servers import ServerNode

Thing = TypeVar("Thing")
_claimed: defaultdict[str, set[int]] = defaultdict(set)
_locks: WeakKeyDictionary[ServerNode, asyncio.Lock] = WeakKeyDictionary()


def unclaimed(things: Iterable[Thing], how: str) -> list[Thing]:
    """Those that nobody has claimed for this."""
    return [thing for thing in things if id(thing) not in _claimed[how]]


@contextmanager
def claim(thing: object, how: str) -> Iterator[None]:
    """The victim is this fault's until it is undone."""
    _claimed[how].add(id(thing))
    try:
        yield
    finally:
        _claimed[how].discard(id(thing))


@asynccontextmanager
async def alone_with(*servers: ServerNode) -> AsyncIterator[None]:
    """No other fault that stops a whole server meets one of these meanwhile.

    The schedule keeps such faults apart already. But how long a server needs to come back is up to the machine, so here
    a late one makes the next one wait.
    """
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(_locks.setdefault(server, asyncio.Lock()))
        yield
