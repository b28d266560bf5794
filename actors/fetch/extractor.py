"""The process that runs yt-dlp: `python -m actors.fetch.extractor`.

It reads one Request from standard input and writes messages to standard output. It dies with its
parent, connects only where the egress policy allows it and starts no programs. This is the only
module that imports yt-dlp.
"""

import ctypes
import errno
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from actors.egress import EgressPolicy, EgressRefused
from actors.fetch.formats import choose
from actors.fetch.messages import Assembled, DirectFormat, Failed, Message, Moving, Request

_PR_SET_PDEATHSIG = 1
_STARTS_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"})
_ALLOWED_EXTRACTORS = ["generic", "html5"]
_TRIES = 5
_FRAGMENTS_AT_ONCE = 4
_DEEPEST_CAUSE = 8
_ERRNOS = {errno.ENOSPC: "DISK_FULL", errno.EDQUOT: "DISK_FULL", errno.EFBIG: "TOO_LARGE", errno.ENOMEM: "TOO_LARGE"}


class Refusal(Exception):
    """A reason to stop that has a code of the error table."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code


class Channel:
    """The pipe to the parent. Messages of several threads do not mix."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        line = msgspec.json.encode(message) + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


class Words:
    """Where yt-dlp's own words go: standard error, of which the parent keeps the end.

    Its errors are kept: with several fragments at once, the exception that ends a download may only
    be a consequence of the one that was reported.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []

    def debug(self, text: str) -> None:
        """Chatter."""

    def info(self, text: str) -> None:
        """Chatter."""

    def warning(self, text: str) -> None:
        sys.stderr.write(f"warning: {text}\n")

    def error(self, text: str) -> None:
        self.errors.append(text)
        sys.stderr.write(f"error: {text}\n")


class Jail:
    """An audit hook: sees every connection and every program that Python code starts, and cannot be removed."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self.refused: str | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            self._check(arguments[0], arguments[1])
        elif event in _STARTS_PROGRAMS:
            raise PermissionError("the extractor starts no programs")

    def _check(self, made: socket.socket, target: Any) -> None:
        if made.family not in (socket.AF_INET, socket.AF_INET6):
            raise EgressRefused("only internet addresses are connected to")
        try:
            self._policy.check(str(target[0]))
        except EgressRefused as error:
            self.refused = str(error)
            raise


def main() -> int:
    """Run one request. The exit status is 0 whenever a last message was sent."""
    channel = _take_stdout()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    _die_with(request.parent)
    _limit(request)
    jail = Jail(EgressPolicy(request.allow))
    words = Words()
    # Its connections are made in C, where the hook does not see them.
    sys.modules["curl_cffi"] = None  # type: ignore[assignment]
    try:
        import yt_dlp

        # Name lookups use sockets of the C library, which the hook does not see and need not.
        sys.addaudithook(jail)
        channel.say(_extract(yt_dlp, request, channel, words))
    except Exception as error:  # noqa: BLE001 - the boundary of the process: everything becomes a message
        channel.say(_failed(error, jail, words))
    return 0


def _extract(yt_dlp: Any, request: Request, channel: Channel, words: Words) -> Message:
    with yt_dlp.YoutubeDL(_options(request, channel, words)) as ydl:
        info = ydl.extract_info(request.address, download=False)
        if info is None:
            raise Refusal("URL_UNSUPPORTED")
        if info.get("_type") in ("playlist", "multi_video"):
            entries = [entry for entry in info.get("entries") or () if entry]
            if not entries:
                raise Refusal("URL_UNSUPPORTED", "a page without media")
            info = entries[0]
        if info.get("is_live") or info.get("live_status") == "is_live":
            raise Refusal("LIVE_NOT_SUPPORTED")
        # yt-dlp numbers the videos of a page even when there is one.
        name = str(info.get("title") or "").removesuffix(" (1)")
        if info.get("protocol") in ("http", "https"):
            headers = {str(key): str(value) for key, value in (info.get("http_headers") or {}).items()}
            cookies = ydl.cookiejar.get_cookie_header(info["url"])
            if cookies:
                headers["Cookie"] = cookies
            return DirectFormat(address=info["url"], headers=headers, name=name)
        ydl.process_ie_result(info, download=True)
        files = [path for path in Path(request.folder).iterdir() if path.is_file() and path.stem == "media"]
        if len(files) != 1 or files[0].suffix in (".part", ".ytdl"):
            raise Refusal("FRAGMENT_LOST", f"{len(files)} files")
        return Assembled(path=str(files[0]), name=name)


def _options(request: Request, channel: Channel, words: Words) -> dict[str, Any]:
    def pick(context: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        chosen = choose(
            context["formats"],
            audio_only=request.audio_only,
            shortest_side=request.shortest_side,
            codecs=request.codecs,
        )
        if chosen is not None:
            yield chosen

    def on_progress(status: Mapping[str, Any]) -> None:
        done = int(status.get("downloaded_bytes") or 0)
        if done > request.max_bytes:
            raise Refusal("TOO_LARGE", f"{done} bytes")
        count = status.get("fragment_count")
        fraction = None if not count else min(float(status.get("fragment_index") or 0) / float(count), 1.0)
        channel.say(Moving(done=done, total=_whole(status.get("total_bytes")), fraction=fraction))

    folder = Path(request.folder)
    return {
        "allowed_extractors": _ALLOWED_EXTRACTORS,
        "cachedir": False,
        "concurrent_fragment_downloads": _FRAGMENTS_AT_ONCE,
        "continuedl": False,
        "extractor_retries": 1,
        "ffmpeg_location": str(folder / "no-ffmpeg"),
        "file_access_retries": 0,
        "fixup": "never",
        "format": pick,
        "fragment_retries": _TRIES,
        "hls_prefer_native": True,
        "keep_fragments": False,
        "logger": words,
        "noplaylist": True,
        "noprogress": True,
        "outtmpl": {"default": str(folder / "media.%(ext)s")},
        "overwrites": True,
        "playlist_items": "1",
        "postprocessors": [],
        "progress_hooks": [on_progress],
        "proxy": "",
        "quiet": True,
        "retries": _TRIES,
        "skip_unavailable_fragments": False,
        "socket_timeout": request.timeout_s,
        "updatetime": False,
    }


def _failed(error: BaseException, jail: Jail, words: Words) -> Failed:
    chain = list(_causes(error))
    code = next((cause.code for cause in chain if isinstance(cause, Refusal)), None)
    if code is None and jail.refused is not None:
        code = "ADDRESS_REFUSED"
    if code is None:
        code = next((meaning for meaning in map(_meaning, chain) if meaning is not None), None)
    statuses = (getattr(cause, "status", None) for cause in chain)
    status = next((found for found in statuses if isinstance(found, int)), None)
    response = next((cause.response for cause in chain if hasattr(cause, "response")), None)
    headers = getattr(response, "headers", None)
    return Failed(
        code=code,
        exceptions=tuple(name for cause in chain for name in _names(cause)),
        status=status,
        retry_after=None if headers is None else headers.get("Retry-After"),
        text="\n".join(dict.fromkeys((str(error), *words.errors)))[:4000],
        expected=all(getattr(cause, "expected", True) for cause in chain),
    )


def _meaning(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "TOO_LARGE"
    return _ERRNOS.get(error.errno or 0) if isinstance(error, OSError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions behind an exception: yt-dlp keeps them in `exc_info` and `cause`."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting and len(seen) < _DEEPEST_CAUSE:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        info = getattr(found, "exc_info", None)
        inner = (
            info[1] if isinstance(info, tuple) else None,
            getattr(found, "cause", None),
            found.__cause__ or found.__context__,
        )
        waiting.extend(cause for cause in inner if isinstance(cause, BaseException))


def _names(error: BaseException) -> Iterator[str]:
    for kind in type(error).__mro__:
        if kind.__module__.startswith("yt_dlp"):
            yield kind.__name__


def _whole(value: Any) -> int | None:
    return int(value) if value else None


def _take_stdout() -> Channel:
    """Keep the pipe for messages, and let whatever else writes to standard output reach standard error."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return Channel(pipe)


def _die_with(parent: int) -> None:
    """Be killed when the parent ends (Linux), and end now if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


def _limit(request: Request) -> None:
    """Bound memory and the size of files, and leave no core."""
    for kind, most in (
        (resource.RLIMIT_AS, request.memory_bytes),
        (resource.RLIMIT_FSIZE, request.max_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


if __name__ == "__main__":
    raise SystemExit(main())
