"""Probing a file with the native program, the only place where files are judged."""

import os
from pathlib import Path

import msgspec

from actors.media.errors import MediaError
from actors.media.task import Probe, decode
from actors.native import call, require_ffmpeg, require_native
from actors.settings import MediaSettings

REFUSED_STATUS = 3
_LEAST_TIMEOUT_S = 60.0
_LEAST_BYTES_PER_S = 10_000_000
_DETAIL_BYTES = 2_000
_JAIL = ("jail", "--file-bytes", "1048576", "--parent")
"""Probing writes nothing, and ends with the process that asked for it."""


class _Refusal(msgspec.Struct, frozen=True):
    code: str
    detail: str = ""


async def probe(path: Path, settings: MediaSettings) -> Probe:
    """What is in a file, after reading every packet of it.

    Raises MediaError with the code that the native program gives (NOT_MEDIA, SOURCE_TRUNCATED, …),
    NATIVE_MISSING, or STALLED when it takes longer than the slowest disk would.
    """
    native = require_native()
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "REELWAY_FFMPEG": str(require_ffmpeg(settings)),
    }
    size_bytes = path.stat().st_size
    timeout_s = _LEAST_TIMEOUT_S + size_bytes / _LEAST_BYTES_PER_S
    try:
        finished = await call(
            native, [*_JAIL, str(os.getpid()), "--", str(native), "probe", str(path)], environment, timeout_s
        )
    except TimeoutError:
        raise MediaError("STALLED", f"probe took longer than {timeout_s:.0f} s") from None
    if finished.status == REFUSED_STATUS:
        refusal = _read(finished.stdout)
        raise MediaError(refusal.code, refusal.detail)
    if finished.status != 0:
        detail = finished.stderr[-_DETAIL_BYTES:].decode(errors="replace")
        raise MediaError("INTERNAL", f"probe ended with {finished.status}: {detail}")
    return decode(Probe, finished.stdout)


def _read(data: bytes) -> _Refusal:
    return msgspec.json.decode(data, type=_Refusal)
