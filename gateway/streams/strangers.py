"""Connections that have not said yet who they are: few from one address, or they would use up the sockets. Pure."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_OF_AN_ADDRESS = 64


class Strangers:
    """Counts them by address."""

    def __init__(self, most: int = MOST_OF_AN_ADDRESS) -> None:
        self._most = most
        self._present: Counter[str] = Counter()

    def is_crowded(self, address: str) -> bool:
        """Whether this address has to wait until some of its connections have said who they are."""
        return self._present[address] >= self._most

    @contextmanager
    def present(self, address: str) -> Iterator[None]:
        """While it is open, one connection of `address` is a stranger."""
        self._present[address] += 1
        try:
            yield
        finally:
            self._present[address] -= 1
            if not self._present[address]:
                del self._present[address]
