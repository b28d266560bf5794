"""Reading a web page or a playlist through the extractor, a process of its own for each job."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import structlog

from actors.fetch.messages import Assembled, DirectFormat, Failed, Moving, Request, Said
from actors.fetch.response import retry_after_s
from actors.media.errors import MediaError, error_table
from actors.native import end_group

_LONGEST_LINE_BYTES = 1024 * 1024
_STDERR_BYTES = 16 * 1024
Pipes = tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]
_decoder = msgspec.json.Decoder(Said)
log = structlog.get_logger("fetch.page")


async def extract(request: Request, on_moving: Callable[[Moving], None]) -> DirectFormat | Assembled:
    """Let the extractor read the page. Nothing of its process group is left, however this ends.

    Raises MediaError with the code for what it said.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "actors.fetch.extractor",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE_BYTES,
        env=_environment(Path(request.folder)),
        cwd=request.folder,
        start_new_session=True,
    )
    stdin, stdout, stderr_pipe = cast(Pipes, (process.stdin, process.stdout, process.stderr))
    stderr = asyncio.create_task(_tail(stderr_pipe))
    last: DirectFormat | Assembled | Failed | None = None
    try:
        stdin.write(msgspec.json.encode(request))
        stdin.close()
        async for line in stdout:
            said = _decoder.decode(line)
            if isinstance(said, Moving):
                on_moving(said)
            else:
                last = said
        await process.wait()
        words = await stderr
    finally:
        stderr.cancel()
        await end_group(process)
    if last is None:
        raise MediaError("INTERNAL", f"the extractor ended with {process.returncode}: {words}")
    if isinstance(last, Failed):
        log.info("fetch.extractor_failed", text=last.text, exceptions=last.exceptions, words=words)
        raise as_error(last)
    return last


def as_error(failed: Failed) -> MediaError:
    """The code for a failure: what is known for sure first, then exception types, status, texts."""
    table = error_table()
    code = failed.code or table.code_for_exceptions(failed.exceptions)
    if code in (None, "NET_TEMP") and failed.status is not None and failed.status >= 400:
        code = table.code_for_http(failed.status)
    if code in (None, "NET_TEMP"):
        code = table.code_for_ytdlp(failed.text) or code
    if code is None:
        code = "URL_UNSUPPORTED" if failed.expected else "EXTRACTOR_BROKEN"
    after_s = None if failed.retry_after is None else retry_after_s({"Retry-After": failed.retry_after})
    return MediaError(code, failed.text, retry_after_s=after_s)


def _environment(folder: Path) -> dict[str, str]:
    """Little of ours: no secrets, no proxies, no plugins, and every cache inside the folder."""
    kept = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return environment | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONSAFEPATH": "1",
        "YTDLP_NO_PLUGINS": "1",
    }


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while piece := await stream.read(4096):
        kept = (kept + piece)[-_STDERR_BYTES:]
    return kept.decode(errors="replace")
