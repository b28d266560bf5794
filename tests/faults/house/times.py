"""Times and bounds that everything in a run goes by. Short, so that a run is; their ratios are those of the product."""

from collections.abc import Mapping
from types import MappingProxyType

PARTITIONS = 4
LEASE_S, BEAT_S = 1.5, 0.3
STALL_S = 4.0
"""Of every stage: what does not move for so long is stopped."""
KILL_GRACE_S = 2.0
DRAIN_GRACE_S = 6.0
REAPER_INTERVAL_S, RECONCILE_S = 0.2, 1.0
COLLECT_AFTER_S = 5.0
CRASH_BUDGET = 3
ERROR_BUDGET = 4
"""Of the stages of scripted jobs. The product's own have theirs."""
TENANT_LIMITS: Mapping[str, int] = MappingProxyType({"limited": 3})
"""Jobs under way at once, of the tenants that have a limit of their own."""

RESTART_S = (0.2, 1.0)
"""Between the end of a process and its next start: drawn anew each time."""
LONGEST_PAUSE_S = 2.0
"""The same for a process that ends again and again before it works: each time twice as long, up to this."""
HEAL_S = 60.0
"""Everything works again within this time after all is undone."""
STOP_S = 30.0
"""SIGTERM to all, until nobody is there."""
NOTED_EVERY_S = 0.1
"""Between two looks at an append-only file."""
LOST_S = 1.0
"""What a power failure costs with `appendfsync everysec`."""
