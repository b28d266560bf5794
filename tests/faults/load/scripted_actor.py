"""Program: one process with an actor for each step of scripted jobs, run as the product's roles are.

    python -m tests.faults.load.scripted_actor

Settings come from the environment, FAULTS_FOLDER says where to write what was executed. Prints `ready`.
"""

import os
import random
import sys
from pathlib import Path

from actors.failures import TablePolicy
from actors.installation import kernel_options, redis_options
from actors.kernel import Actor, ActorOptions, Failure, Partitions, Service, Throttled
from actors.kernel.presence import Announcer
from actors.logging import configure
from actors.media.errors import error_table
from actors.media.task import encode
from actors.run import run, serve
from actors.settings import Settings, load
from actors.version import installed_version
from tests.faults.history import EXECUTIONS, Journal
from tests.faults.house.environment import FOLDER_VARIABLE
from tests.faults.house.times import DRAIN_GRACE_S, ERROR_BUDGET, KILL_GRACE_S, STALL_S
from tests.faults.load.bodies import STAGES
from tests.faults.load.scripted_handler import ScriptedHandler

CONCURRENCY = 4
DELAYS_MS = (100, 400)
"""Between two attempts."""


class ImpatientPolicy:
    """The product's error table with one budget for all stages and delays that a short run has time for."""

    def __init__(self) -> None:
        self._table = error_table()
        self._decided_by = TablePolicy(dict.fromkeys(STAGES, ERROR_BUDGET))

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        """See FailurePolicy."""
        delay_ms = random.randint(*DELAYS_MS)
        if isinstance(failure, Throttled):
            # Not by the table, which calls for an operator each time that Redis is full: here it is made to be.
            error = encode(self._table.error_body(failure.code))
            reason = encode(self._table.reason_body(failure.code))
            return Failure(
                cls="throttled", code=failure.code, delay_ms=delay_ms, budget=ERROR_BUDGET, error=error, reason=reason
            )
        decided = self._decided_by.decide(stage, attempt, failure)
        return Failure(
            cls=decided.cls,
            code=decided.code,
            delay_ms=delay_ms,
            budget=ERROR_BUDGET,
            error=decided.error,
            reason=decided.reason,
        )


def build(settings: Settings, journal: Journal) -> list[Service]:
    """An actor for every step, each announced."""
    options = ActorOptions(
        concurrency=CONCURRENCY, stall_timeout_s=STALL_S, kill_grace_s=KILL_GRACE_S, drain_grace_s=DRAIN_GRACE_S
    )
    connection, partitions, kernel = (
        redis_options(settings),
        Partitions(settings.redis.partitions),
        kernel_options(settings),
    )
    services: list[Service] = []
    for stage in STAGES:
        handler = ScriptedHandler(stage, journal)
        actor = Actor(connection, partitions, kernel, handler, ImpatientPolicy(), options)
        services += [actor, Announcer(connection, actor, installed_version())]
    return services


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    settings = load()
    configure(settings.logging, "scripted")
    journal = Journal(Path(os.environ[FOLDER_VARIABLE]) / EXECUTIONS)
    run(serve(build(settings, journal), settings, _say_ready))


if __name__ == "__main__":
    main()
