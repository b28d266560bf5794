"""Things that are slow until a test says otherwise, so that a kill lands in the middle of a stage."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LONG_S = 12.0
"""Of the source that is converted while something happens."""


class PacedFfmpeg:
    """An ffmpeg that reads its input no faster than it plays, as long as it is told to."""

    def __init__(self, folder: Path, ffmpeg: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.program = folder / "ffmpeg"
        self._slow = folder / "slow"
        self.program.write_text(
            "#!/bin/sh\n"
            f"if [ -e '{self._slow}' ]; then\n"
            '  case "$*" in *-progress*) exec ' + f"'{ffmpeg}'" + ' -re "$@" ;; esac\n'
            "fi\n"
            f"exec '{ffmpeg}' \"$@\"\n"
        )
        self.program.chmod(0o755)

    def slow(self) -> None:
        """From here on conversions take as long as their source."""
        self._slow.touch()

    def fast(self) -> None:
        """From here on they take what they take."""
        self._slow.unlink(missing_ok=True)


class PacedSite:
    """Serves one file with ranges; stands still in its middle until `release`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.halfway = threading.Event()
        self.released = threading.Event()
        self.requests = 0
        self.url = ""

    def release(self) -> None:
        """From here on the file is served to its end."""
        self.released.set()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests += 1
        if request.path != "/clip.mp4":
            request.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1 if asked and asked[2] else len(self.content), len(self.content))
        request.send_response(206 if asked else 200)
        request.send_header("Content-Type", "video/mp4")
        request.send_header("Content-Length", str(end - begin))
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("ETag", '"one"')
        if asked:
            request.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(self.content)}")
        request.end_headers()
        if request.command == "HEAD":
            return
        half = len(self.content) // 2
        if begin < half < end:
            request.wfile.write(self.content[begin:half])
            request.wfile.flush()
            self.halfway.set()
            self.released.wait(60)
            begin = half
        request.wfile.write(self.content[begin:end])


@contextmanager
def paced_site(content: bytes) -> Iterator[PacedSite]:
    """`/clip.mp4` on a loopback port; everything else is 404."""
    site = PacedSite(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True
            try:
                site.serve(self)
            except OSError:
                return  # the reader was killed

        do_HEAD = do_GET  # noqa: N815  # the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        site.release()
        server.shutdown()
        thread.join()
        server.server_close()


def audio_seconds(ffmpeg: Path, file: Path) -> float:
    """Length of the sound of `file`, by decoding all of it."""
    decoded = subprocess.run(
        [
            ffmpeg,
            "-nostdin",
            "-v",
            "error",
            "-i",
            file,
            "-map",
            "0:a:0",
            "-f",
            "s16le",
            "-ac",
            "1",
            "-ar",
            "48000",
            "-",
        ],
        capture_output=True,
        check=True,
    ).stdout
    return len(decoded) / 2 / 48000
