"""A model of the kernel's transitions: what the scripts must do, written without Redis, keys or time.

Time enters from outside: a lease, a deadline or a delay runs out when a test says so. Every method answers what the
verb answers and changes what the verb changes; what a verb may choose is checked and then followed.

- `job`: one job
- `places`: windows, slots and turns
- `family`: ends, parents and children
- `verbs`: the verbs of workers, submitters and keepers
- `following`: `take` and `reconcile`, which may choose
"""

from tests.model.job import Job
from tests.model.verbs import CRASH_BUDGET, Model

__all__ = ["CRASH_BUDGET", "Job", "Model"]
