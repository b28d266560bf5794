"""How many requests a principal may send: a quota for each window of time, all at once or spread over it (GCRA).

Pure but for what is remembered: one number for each principal that has sent something within the window.
"""

import math
from typing import NamedTuple

from gateway.openapi.operation import header
from gateway.principal import Principal

RATE_LIMIT = header("RateLimit", "What is left of the key's quota.", example='"default";r=5990;t=1')
RATE_LIMIT_POLICY = header("RateLimit-Policy", "The key's quota.", example='"default";q=6000;w=60')
LEAST_SWEEP = 1024
_ROUNDING = 1e-9


class Standing(NamedTuple):
    """What is left of a principal's quota."""

    allowed: bool
    remaining: int
    """Requests that it may send at once."""
    after_s: float
    """Until the quota is whole again; of a refused request, until one is allowed."""


class RateLimiter:
    """Belongs to one process. Each counts for itself."""

    def __init__(self, requests: int, window_s: int) -> None:
        self._requests = requests
        self._window_s = window_s
        self._interval_s = window_s / requests
        self._whole_at_s: dict[Principal, float] = {}
        """When the quota of each principal will be whole again; who is not in it has all of it."""
        self._sweep_at = LEAST_SWEEP

    @property
    def known(self) -> int:
        """Principals that are remembered."""
        return len(self._whole_at_s)

    @property
    def policy(self) -> str:
        """The field RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
        return f'"default";q={self._requests};w={self._window_s}'

    def spend(self, principal: Principal, now_s: float) -> Standing:
        """One request at `now_s`, of a clock that never goes back."""
        whole_at_s = max(self._whole_at_s.get(principal, now_s), now_s) + self._interval_s
        too_early_s = whole_at_s - self._window_s - now_s
        if too_early_s > _ROUNDING:
            return Standing(False, 0, too_early_s)
        if len(self._whole_at_s) >= self._sweep_at:
            self._forget_idle(now_s)
        self._whole_at_s[principal] = whole_at_s
        return Standing(True, math.floor(-too_early_s / self._interval_s + _ROUNDING), whole_at_s - now_s)

    def _forget_idle(self, now_s: float) -> None:
        self._whole_at_s = {name: at_s for name, at_s in self._whole_at_s.items() if at_s > now_s}
        # Not before as many again have come: looking at all of them costs each of those one step.
        self._sweep_at = max(LEAST_SWEEP, 2 * len(self._whole_at_s))


def rate_field(standing: Standing) -> str:
    """The field RateLimit."""
    return f'"default";r={standing.remaining};t={math.ceil(standing.after_s)}'
