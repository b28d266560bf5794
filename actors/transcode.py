"""Starting the transcode actor, which is a program of its own: its settings, and becoming it.

Apart from `run`, because a process that is about to be replaced should not import what the other roles need.
"""

import os
from typing import Any, NoReturn

import msgspec

from actors.native import require_ffmpeg, require_native
from actors.places import storage_root
from actors.settings import Settings
from actors.settings_values import Secret


def run_transcode(settings: Settings) -> NoReturn:
    """Replace this process by the transcode actor. Raises MediaError NATIVE_MISSING or SettingsError."""
    program = require_native()
    environment = {
        **os.environ,
        "REELWAY_NATIVE_SETTINGS": msgspec.json.encode(native_settings(settings)).decode(),
    }
    os.execve(program, [program.name, "run"], environment)  # noqa: S606 - no shell, a program of ours


def native_settings(settings: Settings) -> dict[str, Any]:
    """What the native program needs of the settings, as JSON data."""
    stage = settings.transcode
    return {
        "redis": {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in msgspec.structs.asdict(settings.redis).items()
            if name != "partitions"
        },
        "partitions": settings.redis.partitions,
        "kernel": msgspec.to_builtins(settings.kernel),
        "storage": {"root": str(storage_root(settings)), "min_free_bytes": settings.storage.min_free_bytes},
        "ffmpeg": str(require_ffmpeg(settings.media)),
        "scratch_dir": str(settings.scratch_dir),
        "actor": {
            "lane": stage.lane,
            "concurrency": stage.concurrency,
            "stall_timeout_s": stage.stall_timeout_s,
            "kill_grace_s": stage.kill_grace_s,
            "drain_grace_s": stage.drain_grace_s,
        },
        "budget": stage.budget,
        "log_level": settings.logging.level,
    }
