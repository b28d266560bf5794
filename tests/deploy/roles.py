"""What a deployment file may say: the roles, the settings, and how it writes durations."""

import re
from collections.abc import Mapping

from actors.settings import environment_name, keys

ROLES = ("ingest", "fetch", "transcode", "store", "notify", "reaper", "gateway")
SECRETS = ("redis.password", "gateway.key")

CLIENT = frozenset({"REELWAY_URL", "REELWAY_KEY_FILE"})
"""Names that the command reads, here as the gateway's health check."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """`1m30s`, as Nomad and Compose write it, in seconds."""
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def unknown_settings(environment: Mapping[str, object]) -> list[str]:
    """Names that no role would accept, and secrets that are written out instead of being read from a file."""
    plain = {environment_name(key) for key in keys() if key not in SECRETS}
    files = {environment_name(key) + "_FILE" for key in SECRETS}
    return sorted(set(environment) - plain - files - CLIENT)
