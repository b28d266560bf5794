"""What a worker process is told, and what travels through its stages. Parent and worker both read this."""

import os

import msgspec

STAGES = ("ingest", "fetch", "transcode", "store")
SPEC, INPUT, RESULT = b'{"number":1}', b"1", b"1"
VARIABLE = "BENCH_ORDERS"
"""The environment variable that holds the orders as JSON."""
CONCURRENCY = 100
"""Jobs at once in one stage of one worker process."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process of four actors whose handlers do nothing."""

    redis: str
    report: str
    """Path of the FIFO."""
    partitions: int = 1
    concurrency: int = CONCURRENCY
    replaces: bool = False
    """Every chain that ends hands in another one of its tenant, so that as many wait as before."""
    warm_up: int = 0
    """With `replaces`: chains before the window of measurement opens."""
    measured: int = 0
    """With `replaces`: chains in the window. Then the first stage takes nothing more, and the others run empty."""


def following(stage: str) -> str | None:
    """The stage behind this one."""
    place = STAGES.index(stage) + 1
    return STAGES[place] if place < len(STAGES) else None


def orders() -> Orders:
    """Of this process."""
    return msgspec.json.decode(os.environ[VARIABLE], type=Orders)
