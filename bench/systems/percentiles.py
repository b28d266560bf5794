"""Percentiles of waits. Pure."""

import math
from collections.abc import Sequence

DRAWN = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)
"""Percents that a picture shows."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed. Raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    place = math.ceil(round(percent / 100 * len(values), 9))
    return sorted(values)[max(place, 1) - 1]


def curve(values: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Percents and their values, as far as there are values enough to tell the percent from the largest."""
    percents = tuple(each for each in DRAWN if round(len(values) * (100 - each)) >= 100)
    return percents, tuple(percentile(values, each) for each in percents)
