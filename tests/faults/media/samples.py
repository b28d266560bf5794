"""The files that media jobs are made of: small, the same in every run, each with how a job of it may end."""

import subprocess
from pathlib import Path
from typing import Literal

import msgspec

Serving = Literal["plain", "refused", "broken", "trickled"]

_BITEXACT = ["-fflags", "+bitexact", "-flags", "+bitexact", "-threads", "1"]
_PICTURE = "testsrc2=size=160x90:rate=15:duration=3"
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
_AAC = ["-c:a", "aac", "-b:a", "64k"]
_CODECS = {"mp3": ["-c:a", "libmp3lame", "-b:a", "64k"], "m4a": _AAC, "wav": ["-c:a", "pcm_s16le"]}
AUDIO = ("mp3", "m4a", "opus", "flac", "wav")
VIDEO = ("mp4", "webm")


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A source that a job can name."""

    file: str
    formats: tuple[str, ...] = AUDIO
    """What can be asked of it."""
    serving: Serving = "plain"
    """How the server of the sources answers for it."""
    ends: tuple[str, ...] = ("completed",)
    weight: float = 1.0
    uploads: bool = True
    """Whether it may be uploaded as well."""


SAMPLES: dict[str, Sample] = {
    "tone.mp3": Sample(file="tone.mp3", weight=3),
    "tone.wav": Sample(file="tone.wav", weight=3),
    "tone.m4a": Sample(file="tone.m4a", weight=3),
    "clip.mp4": Sample(file="clip.mp4", formats=(*AUDIO, *VIDEO), weight=4),
    "refused.mp3": Sample(file="tone.mp3", serving="refused", weight=2, uploads=False),
    "broken.mp4": Sample(file="clip.mp4", formats=(*AUDIO, "mp4"), serving="broken", weight=2, uploads=False),
    "trickled.m4a": Sample(file="tone.m4a", serving="trickled", weight=3, uploads=False),
    # Not in its own format: what is only copied takes no time and makes no trouble.
    "long.mp3": Sample(file="long.mp3", formats=("m4a", "opus", "wav"), weight=4),
    "stuck.wav": Sample(file="stuck.wav", formats=("mp3", "m4a"), weight=1),
    "oom.wav": Sample(file="oom.wav", formats=("mp3", "m4a"), weight=1),
    "cut.mp4": Sample(file="cut.mp4", formats=("mp3", "mp4"), ends=("failed",), weight=1),
    "text.mp4": Sample(file="text.mp4", formats=("mp3", "mp4"), ends=("failed",), weight=1),
}


def make_samples(ffmpeg: Path, folder: Path) -> None:
    """Make every file of SAMPLES. Takes about a second."""
    folder.mkdir(parents=True, exist_ok=True)

    def run(name: str, *arguments: str) -> None:
        command = [str(ffmpeg), "-nostdin", "-v", "error", "-y", *arguments, *_BITEXACT, str(folder / name)]
        subprocess.run(command, check=True, timeout=60)

    def tone(name: str, hertz: int, lasts_s: float) -> None:
        stem, _, suffix = name.partition(".")
        sound = f"sine=frequency={hertz}:sample_rate=16000:duration={lasts_s}"
        # The stand-in does to a source what its title says.
        run(name, "-f", "lavfi", "-i", sound, "-metadata", f"title=reelway-{stem}", *_CODECS[suffix])

    tone("tone.mp3", 440, 2)
    tone("tone.wav", 550, 2)
    tone("tone.m4a", 660, 2)
    tone("long.mp3", 330, 40)
    tone("stuck.wav", 770, 2)
    tone("oom.wav", 880, 2)
    both = ["-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", "sine=sample_rate=44100:duration=3"]
    run("clip.mp4", *both, *_H264, *_AAC, "-movflags", "+faststart")
    run("whole.mp4", *both, *_H264, *_AAC)
    whole = (folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "whole.mp4").unlink()
    (folder / "text.mp4").write_bytes(b"This is not a video, whatever its name says.\n" * 100)
