"""How long something is tried again, and the pauses in between."""

import asyncio
import random
from collections.abc import Callable

from gateway.client.errors import GatewayError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


class Lost(Exception):
    """No answer, half of one, or one that says "try again", after `retry_after_s`.

    `outcome` is what the caller hears when there is no time left to try.
    """

    def __init__(self, outcome: GatewayError, retry_after_s: float = 0.0) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
        self.retry_after_s = retry_after_s


class Patience:
    """Pauses from 20 ms, doubling up to 1 s, half of each drawn. `within_s` may grow while it lasts."""

    def __init__(self, within_s: Callable[[], float]) -> None:
        self._within_s = within_s
        self.refresh()

    def refresh(self) -> None:
        """Begin anew: something has arrived."""
        self._began_s = asyncio.get_running_loop().time()
        self._pause_s = _FIRST_PAUSE_S

    async def pause(self, lost: Lost, at_least_s: float = 0.0) -> None:
        """Pause before the next try. Raises the outcome of `lost` when there is no time for one."""
        at_least_s = max(at_least_s, lost.retry_after_s)
        # Many clients were told the same time.
        pause_s = max(at_least_s * random.uniform(1.0, 1.25), self._pause_s * random.uniform(0.5, 1.0))
        if asyncio.get_running_loop().time() + at_least_s > self._began_s + self._within_s():
            raise lost.outcome
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        await asyncio.sleep(pause_s)
