"""The settings of the role processes, as the environment that an orchestrator gives them."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.faults.house import times

FOLDER_VARIABLE = "FAULTS_FOLDER"
"""The run's folder, in the environment of every process: what is left of a run is found by it.

Without the product's prefix, since a role refuses names with it that are no settings."""
STAGES = ("INGEST", "FETCH", "TRANSCODE", "STORE", "NOTIFY")
KEY = "rw_key_of_the_house"
MIN_FREE_BYTES = 1024 * 1024
_FOREIGN = ("REELWAY_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", FOLDER_VARIABLE)
"""Names of the caller's own environment that a process must not inherit.

Without its cache Python compiles the same sources anew at every start, and there are hundreds."""


def inherited(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the processes take from the environment of the run."""
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}


def settings(folder: Path, storage: Path, redis_url: str, ffmpeg: Path | None) -> dict[str, str]:
    """What all processes are told, as REELWAY_ variables."""
    given: dict[str, object] = {
        "REDIS_URL": redis_url,
        "PARTITIONS": times.PARTITIONS,
        "KERNEL_LEASE_S": times.LEASE_S,
        "KERNEL_BEAT_S": times.BEAT_S,
        "KERNEL_CRASH_BUDGET": times.CRASH_BUDGET,
        "REAPER_INTERVAL_S": times.REAPER_INTERVAL_S,
        "REAPER_RECONCILE_S": times.RECONCILE_S,
        "STORAGE_URL": storage.as_uri(),
        "STORAGE_COLLECT_AFTER_S": times.COLLECT_AFTER_S,
        "STORAGE_MIN_FREE_BYTES": MIN_FREE_BYTES,
        "EGRESS_ALLOW": "127.0.0.0/8",
        "TRANSCODE_CONCURRENCY": 2,
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_KEY": KEY,
        "GATEWAY_HEARTBEAT_S": 1.0,
        "GATEWAY_RATE_REQUESTS": 0,
        "LOGGING_FORMAT": "json",
    }
    for stage in STAGES:
        given |= {
            f"{stage}_STALL_TIMEOUT_S": times.STALL_S,
            f"{stage}_KILL_GRACE_S": times.KILL_GRACE_S,
            f"{stage}_DRAIN_GRACE_S": times.DRAIN_GRACE_S,
        }
    if ffmpeg is not None:
        given["FFMPEG"] = ffmpeg
    named = {f"REELWAY_{name}": str(value) for name, value in given.items()}
    return named | {FOLDER_VARIABLE: str(folder)}


def of_one(data: Path, gateway_port: int | None, proxy_url: str | None) -> dict[str, str]:
    """What one process alone is told: a data directory, so a scratch folder, of its own, and its way to Redis."""
    told = {"REELWAY_DATA_DIR": str(data)}
    if gateway_port is not None:
        told["REELWAY_GATEWAY_PORT"] = str(gateway_port)
    if proxy_url is not None:
        told["REELWAY_REDIS_URL"] = proxy_url
    return told
