"""The one contract of everything that runs: start, ready, drain, stop."""

from typing import Protocol


class Service(Protocol):
    """A role of the cluster. Each method is called at most once, in this order; `drain` may be left out."""

    name: str

    async def start(self) -> None:
        """Begins to work in background tasks and returns."""

    async def ready(self) -> None:
        """Returns when the role can do its duty."""

    async def drain(self) -> None:
        """Takes nothing new, finishes what fits into the grace and gives the rest back."""

    async def stop(self) -> None:
        """Ends at once; what still runs is given back. Returns when nothing of it runs any more."""
