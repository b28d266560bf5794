"""Sample media, made by ffmpeg when a test first asks for it and kept for the session.

A test module gets the fixtures by `from tests.media_samples import ffmpeg, media_factory`, or from
the conftest of its area.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

CLIP_S = 8.0

_TONE = "sine=frequency=440:sample_rate=48000:duration={seconds}"
_PICTURE = "testsrc2=size={size}:rate=30:duration={seconds}"
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
_AAC = ["-c:a", "aac", "-b:a", "128k", "-ac", "2"]


class MediaFactory:
    """Makes samples in one folder; every method returns the same file when called again."""

    def __init__(self, folder: Path, ffmpeg: Path) -> None:
        self.folder = folder
        self.ffmpeg = ffmpeg

    def clip(self, seconds: float = CLIP_S, size: str = "320x180") -> Path:
        """H.264 and AAC in MP4, index first."""
        codecs = [*_H264, *_AAC, "-movflags", "+faststart"]
        return self._make(f"clip-{seconds:g}-{size}.mp4", [*self._both(seconds, size), *codecs])

    def late_index(self) -> Path:
        """The clip with its index (moov) at the end."""
        return self._make("late-index.mp4", [*self._both(CLIP_S, "320x180"), *_H264, *_AAC])

    def audio(self, name: str = "tone.m4a", seconds: float = CLIP_S) -> Path:
        """A tone; the extension of `name` decides the container and codec."""
        codecs = {
            "m4a": _AAC,
            "mp3": ["-c:a", "libmp3lame", "-b:a", "192k"],
            "opus": ["-c:a", "libopus", "-b:a", "96k"],
            "flac": ["-c:a", "flac"],
            "wav": ["-c:a", "pcm_s16le"],
            "ogg": ["-c:a", "libvorbis"],
        }
        stem, _, extension = name.rpartition(".")
        inputs = ["-f", "lavfi", "-i", _TONE.format(seconds=seconds)]
        return self._make(f"{stem}-{seconds:g}.{extension}", [*inputs, *codecs[extension]])

    def silent_clip(self) -> Path:
        """A picture without sound."""
        inputs = ["-f", "lavfi", "-i", _PICTURE.format(size="320x180", seconds=CLIP_S)]
        return self._make("silent.mp4", [*inputs, *_H264])

    def webm(self) -> Path:
        """VP9 and Opus in WebM."""
        codecs = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k", "-c:a", "libopus"]
        return self._make("clip.webm", [*self._both(4.0, "160x90"), *codecs])

    def odd_size(self) -> Path:
        """A picture of 321x181, which H.264 with 4:2:0 cannot hold."""
        odd = ["-vf", "scale=321:181", "-pix_fmt", "yuv444p"]
        return self._make("odd.mkv", [*self._both(4.0, "320x180"), *odd, "-c:v", "ffv1", "-c:a", "flac"])

    def ten_bit(self) -> Path:
        """High 10, which most players cannot decode."""
        codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"]
        return self._make("ten-bit.mp4", [*self._both(4.0, "320x180"), *codecs, *_AAC])

    def variable_rate(self) -> Path:
        """Frames at irregular times."""
        drop = ["-vf", "select='not(mod(n\\,7)*mod(n\\,11))+lt(mod(n\\,5)\\,2)'", "-fps_mode", "vfr"]
        return self._make("variable.mkv", [*self._both(6.0, "320x180"), *drop, *_H264, *_AAC])

    def rotated(self) -> Path:
        """A clip that is shown turned by 90 degrees."""
        turned = self.folder / "rotated.mp4"
        if not turned.exists():
            self._run(["-display_rotation", "90", "-i", str(self.clip()), "-c", "copy"], turned)
        return turned

    def truncated(self) -> Path:
        """The clip without its last third: the header promises all of it."""
        whole = self.clip(12.0)
        return self._write("truncated.mp4", lambda: whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    def cover_art(self) -> Path:
        """An MP3 with a picture that is no video."""
        song = self.audio("song.mp3")
        one_frame = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1:duration=1", "-frames:v", "1"]
        picture = self._make("cover.png", one_frame)
        extra = ["-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic"]
        return self._make("cover.mp3", ["-i", str(song), "-i", str(picture), *extra])

    def text(self) -> Path:
        """A text file with the name of a video."""
        return self._write("text.mp4", lambda: b"This is not a video.\n" * 200)

    def web_page(self) -> Path:
        """A web page with the name of a video."""
        return self._write("page.mp4", lambda: b"<!DOCTYPE html><html><body>Please log in</body></html>" * 20)

    def empty(self) -> Path:
        """No bytes at all."""
        return self._write("empty.mp4", lambda: b"")

    def hls(self, folder: str = "hls", *, lasting: bool = True) -> Path:
        """The clip as a playlist with segments of two seconds; `lasting=False` leaves the end open, as a live one."""
        target = self.folder / folder
        playlist = target / "index.m3u8"
        if not playlist.exists():
            target.mkdir(exist_ok=True)
            options = ["-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0"]
            source = self._make("keyed.mp4", [*self._both(CLIP_S, "320x180"), *_H264, "-g", "30", *_AAC])
            self._run(["-i", str(source), *options, "-hls_segment_filename", str(target / "part%03d.ts")], playlist)
            if not lasting:
                playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", ""))
        return playlist

    def run(self, arguments: list[str]) -> None:
        """Call ffmpeg with arguments of the test's own, after -y."""
        subprocess.run([str(self.ffmpeg), "-nostdin", "-v", "error", "-y", *arguments], check=True, timeout=60)

    def _both(self, seconds: float, size: str) -> list[str]:
        picture = _PICTURE.format(size=size, seconds=seconds)
        return ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", _TONE.format(seconds=seconds)]

    def _make(self, name: str, arguments: list[str]) -> Path:
        target = self.folder / name
        if not target.exists():
            self._run(arguments, target)
        return target

    def _run(self, arguments: list[str], target: Path) -> None:
        self.run([*arguments, str(target)])

    def _write(self, name: str, content: Callable[[], bytes]) -> Path:
        target = self.folder / name
        if not target.exists():
            target.write_bytes(content())
        return target


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    """The ffmpeg under test: what the product uses by default, unless REELWAY_TEST_FFMPEG names another."""
    return Path(os.environ.get("REELWAY_TEST_FFMPEG") or imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def media_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaFactory]:
    """One factory for the session, always with the newer ffmpeg; its files are deleted at the end."""
    folder = tmp_path_factory.mktemp("media")
    yield MediaFactory(folder, Path(imageio_ffmpeg.get_ffmpeg_exe()))
    shutil.rmtree(folder, ignore_errors=True)
