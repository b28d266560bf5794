"""Fetches an output: taken up where it broke off, checked, and only then given its name."""

import contextlib
import hashlib
import http
import http.client
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gateway.command.client import ConnectionLost, GatewayClient, relative_path
from gateway.command.documents import Output
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.target import Target

_PIECE_BYTES = 1 << 18
_TRIES_FOR_A_WHOLE_FILE = 2


def download(client: GatewayClient, job: str, output: Output, target: Target, moved: Callable[[int], None]) -> None:
    """Put `output` of `job` at `target`; `moved` hears how many bytes are there.

    Size and SHA-256 are checked before the target gets its name. Raises `CommandFailure`.
    """
    partial = target.partial(job)
    try:
        for _ in range(_TRIES_FOR_A_WHOLE_FILE):
            _gather(client, output, partial, moved)
            if _is_whole(partial, output):
                target.put(partial)
                return
            partial.unlink()
    except OSError as error:
        raise CommandFailure(
            ExitCode.USAGE,
            "OUTPUT_NOT_WRITTEN",
            f"{target.path} cannot be written: {error.strerror or error}.",
            "Make room or give -o another place, and run the same command again: the result is kept.",
        ) from error
    raise CommandFailure(
        ExitCode.UNREACHABLE,
        "OUTPUT_DAMAGED",
        f"{output.name} arrived damaged twice.",
        "Check the network and the gateway's storage, then run the same command again.",
    )


def _gather(client: GatewayClient, output: Output, partial: Path, moved: Callable[[int], None]) -> None:
    patience = client.patience()
    with partial.open("ab") as file:
        while (have := file.tell()) < output.size_bytes:
            try:
                _append(client, output, file, have, moved)
            except ConnectionLost as lost:
                patience.wait(lost)
        file.flush()
        os.fsync(file.fileno())


def _append(client: GatewayClient, output: Output, file: BinaryIO, have: int, moved: Callable[[int], None]) -> None:
    headers = {"Accept": "*/*"} | ({"Range": f"bytes={have}-"} if have else {})
    with contextlib.closing(client.open("GET", relative_path(output.url), headers)) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)
        while piece := _read(response):
            file.write(piece)
            moved(file.tell())
    if file.tell() < output.size_bytes:
        raise ConnectionLost("the download ended early")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_PIECE_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error


def _is_whole(partial: Path, output: Output) -> bool:
    with partial.open("rb") as file:
        return partial.stat().st_size == output.size_bytes and (
            hashlib.file_digest(file, "sha256").hexdigest() == output.sha256
        )
