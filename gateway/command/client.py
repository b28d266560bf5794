"""A small client of the HTTP API.

Blocking, on the standard library: a command does one thing at a time, and an asynchronous client would take longer to
import than an embedded cluster takes to start. A lost connection, and an answer that says "try again", are tried again
for a while; every request is safe to repeat, because a job is submitted under an Idempotency-Key.
"""

import contextlib
import http.client
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from gateway.command.connection import Address, Connection
from gateway.command.documents import Job, JobList, Problem, Upload, read_job
from gateway.command.failure import CommandFailure, ExitCode

# A gateway that answered before is probably being restarted; one that never did is probably not there.
PATIENCE_S = 60.0
FIRST_PATIENCE_S = 5.0
_ANSWERS_WITHIN_S = 45.0
_PIECE_BYTES = 1 << 18
_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})

Moved = Callable[[int], None]


class ConnectionLost(Exception):
    """The gateway did not answer, stopped in the middle, or asked to come back after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Patience:
    """How long to go on trying, and the pauses in between: from 20 ms, doubling up to 1 s, half of each drawn."""

    def __init__(self, seconds: float) -> None:
        self.refresh(seconds)

    def refresh(self, seconds: float) -> None:
        """Begin anew, with so much time."""
        self._until = time.monotonic() + seconds
        self._pause_s = 0.02

    def wait(self, cause: ConnectionLost) -> None:
        """Pause before the next try; raises `CommandFailure` once the time is over."""
        at_least_s = cause.retry_after_s
        if time.monotonic() + at_least_s > self._until:
            raise CommandFailure(
                ExitCode.UNREACHABLE,
                "GATEWAY_UNREACHABLE",
                f"The gateway cannot be reached: {cause}.",
                "Check REELWAY_URL and that the gateway runs; what was accepted goes on without this command.",
            ) from cause
        time.sleep(max(at_least_s, self._pause_s * (0.5 + random.random() / 2)))
        self._pause_s = min(self._pause_s * 2, 1.0)


class GatewayClient:
    """Requests to the gateway of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: http.client.HTTPConnection | None = None
        self._kept_address: Address | None = None
        self._met = False

    def patience(self) -> Patience:
        """How long to try what is begun now."""
        return Patience(PATIENCE_S if self._met else FIRST_PATIENCE_S)

    def submit(self, body: Mapping[str, str | int], idempotency_key: str) -> Job:
        """`POST /v1/jobs`: the accepted job, or the one that the same key made before."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        return read_job(self.ask("POST", "/v1/jobs", json.dumps(body).encode(), headers))

    def job(self, job: str) -> Job:
        """`GET /v1/jobs/{id}`."""
        return read_job(self.ask("GET", f"/v1/jobs/{quote(job, safe='')}"))

    def jobs(self, parameters: Mapping[str, str]) -> JobList:
        """`GET /v1/jobs`: one page."""
        path = f"/v1/jobs?{urlencode(parameters)}" if parameters else "/v1/jobs"
        return msgspec.json.decode(self.ask("GET", path), type=JobList)

    def cancel(self, job: str) -> Job:
        """`POST /v1/jobs/{id}/cancel`: the job as it is now, perhaps still running with the wish to end recorded."""
        return read_job(self.ask("POST", f"/v1/jobs/{quote(job, safe='')}/cancel", b""))

    def upload(self, path: Path, size_bytes: int, moved: Moved) -> Upload:
        """`POST /v1/uploads` with the file's bytes; `moved` hears how many bytes have gone, also downwards."""
        patience = self.patience()
        while True:
            try:
                with path.open("rb") as file:
                    # A file's name may be any bytes; what is no text travels as question marks.
                    name = path.name.encode("utf-8", "replace").decode()
                    return self._send_file(name, file, size_bytes, moved)
            except ConnectionLost as lost:
                patience.wait(lost)

    def open(self, method: str, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """One request on a connection of its own, whose answer the caller reads and closes.

        Raises `ConnectionLost`, also for an answer that says "try again", and `CommandFailure` for a refusal.
        """
        address = self._connection.address()
        response = self._exchange(
            _connect(address.url), address, method, path, None, {"Connection": "close", **headers}
        )
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            with contextlib.closing(response):
                raise _refusal(response, _read_all(response))
        return response

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """One request and the body of its answer, tried again while patience lasts: it must be safe to repeat."""
        patience = self.patience()
        while True:
            try:
                return self._ask_once(method, path, body, headers or {})
            except ConnectionLost as lost:
                self._drop_kept()
                patience.wait(lost)

    def _ask_once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        if self._kept is None or self._kept_address is None:
            self._kept_address = self._connection.address()
            self._kept = _connect(self._kept_address.url)
        response = self._exchange(self._kept, self._kept_address, method, path, body, headers)
        content = _read_all(response)
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(response, content)
        return content

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        address: Address,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        sent = {"Authorization": f"Bearer {address.key}", "Accept": "application/json", **headers}
        with _as_lost():
            connection.request(method, _base_path(address.url) + path, body=body, headers=sent)
            response = connection.getresponse()
        self._met = True
        return response

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def _send_file(self, name: str, file: BinaryIO, size_bytes: int, moved: Moved) -> Upload:
        address = self._connection.address()
        with contextlib.closing(_connect(address.url)) as connection:
            with _as_lost():
                connection.putrequest("POST", f"{_base_path(address.url)}/v1/uploads?{urlencode({'name': name})}")
                connection.putheader("Authorization", f"Bearer {address.key}")
                connection.putheader("Content-Type", "application/octet-stream")
                connection.putheader("Content-Length", str(size_bytes))
                connection.endheaders()
            # A gateway that refuses the file answers before it has all of it, and then closes.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in _pieces(file, size_bytes):
                    with _as_lost(keep=(BrokenPipeError, ConnectionResetError)):
                        connection.send(piece)
                    moved(file.tell())
            with _as_lost():
                response = connection.getresponse()
            content = _read_all(response)
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(response, content)
        return msgspec.json.decode(content, type=Upload)


def relative_path(url: str) -> str:
    """The path of an output's address on the same gateway, whether it was given in full or not."""
    parts = urlsplit(urljoin("/", url))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def read_piece(response: http.client.HTTPResponse) -> bytes:
    """The next bytes of an answer from `open`, none at its end. Raises `ConnectionLost` when it breaks off."""
    with _as_lost():
        piece = response.read1(_PIECE_BYTES)
        if not piece and response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return piece


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_ANSWERS_WITHIN_S)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWERS_WITHIN_S)


def _base_path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def _read_all(response: http.client.HTTPResponse) -> bytes:
    with _as_lost():
        return response.read()


@contextlib.contextmanager
def _as_lost(keep: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    try:
        yield
    except keep:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error


def _pieces(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    while left:
        piece = file.read(min(_PIECE_BYTES, left))
        if not piece:
            raise CommandFailure(
                ExitCode.USAGE,
                "FILE_CHANGED",
                "The file became shorter while it was read.",
                "Wait until whatever writes it has finished, then try again.",
            )
        left -= len(piece)
        yield piece


def _refusal(response: http.client.HTTPResponse, content: bytes) -> Exception:
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(f"HTTP_{response.status}", detail=f"The gateway answered {response.status}.")
    if response.status in _TRY_AGAIN:
        return ConnectionLost(f"{problem.detail} [{problem.code}]", _retry_after_s(response))
    is_trouble = response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    return CommandFailure(
        ExitCode.UNREACHABLE if is_trouble else ExitCode.USAGE,
        problem.code,
        problem.detail or problem.title,
        problem.suggestion,
    )


def _retry_after_s(response: http.client.HTTPResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
