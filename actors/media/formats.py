"""The formats a job can ask for, and what `quality` means for each of them."""

import difflib
import re
from dataclasses import dataclass

from actors.media.errors import MediaError
from actors.media.task import AudioEncoder, Container, VideoEncoder


@dataclass(frozen=True, slots=True)
class AudioTarget:
    """How a format holds sound. Bit rates are in bits per second, None for lossless codecs.

    `codecs` are the source codecs that go in unchanged; `sample_rates` the rates an encoded stream
    may have, empty for any.
    """

    codecs: frozenset[str]
    encoder: AudioEncoder
    default_bit_rate: int | None
    least_bit_rate: int = 0
    most_bit_rate: int = 0
    sample_rates: tuple[int, ...] = ()
    most_bit_rate_per_channel: int | None = None
    most_channels: int | None = None


@dataclass(frozen=True, slots=True)
class VideoTarget:
    """How a format holds pictures. `crf` is the constant quality of the encoder."""

    codecs: frozenset[str]
    encoder: VideoEncoder
    crf: int
    preset: str | None


@dataclass(frozen=True, slots=True)
class Format:
    """An output format. `container` is ffmpeg's muxer; `video` is None for audio formats."""

    name: str
    title: str
    container: Container
    extension: str
    mime: str
    audio: AudioTarget
    video: VideoTarget | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What a `quality` text means. None means the format's default, or the source's size."""

    bit_rate: int | None = None
    shortest_side: int | None = None


_AAC = AudioTarget(
    codecs=frozenset({"aac"}),
    encoder="aac",
    default_bit_rate=160_000,
    least_bit_rate=32_000,
    most_bit_rate=512_000,
    sample_rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    most_channels=2,
)
_OPUS = AudioTarget(
    codecs=frozenset({"opus"}),
    encoder="libopus",
    default_bit_rate=128_000,
    least_bit_rate=16_000,
    most_bit_rate=510_000,
    sample_rates=(48_000,),
    most_bit_rate_per_channel=256_000,
    most_channels=2,
)

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            name="mp3",
            title="MP3",
            container="mp3",
            extension="mp3",
            mime="audio/mpeg",
            audio=AudioTarget(
                codecs=frozenset({"mp3"}),
                encoder="libmp3lame",
                default_bit_rate=192_000,
                least_bit_rate=32_000,
                most_bit_rate=320_000,
                sample_rates=(32_000, 44_100, 48_000),
                most_channels=2,
            ),
        ),
        Format(
            name="m4a",
            title="AAC in MP4",
            container="ipod",
            extension="m4a",
            mime="audio/mp4",
            audio=_AAC,
        ),
        Format(
            name="opus",
            title="Opus in Ogg",
            container="ogg",
            extension="opus",
            mime="audio/ogg",
            audio=_OPUS,
        ),
        Format(
            name="flac",
            title="FLAC",
            container="flac",
            extension="flac",
            mime="audio/flac",
            audio=AudioTarget(
                codecs=frozenset({"flac"}),
                encoder="flac",
                default_bit_rate=None,
                most_channels=8,
            ),
        ),
        Format(
            name="wav",
            title="WAV",
            container="wav",
            extension="wav",
            mime="audio/wav",
            audio=AudioTarget(
                codecs=frozenset({"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8"}),
                encoder="pcm_s16le",
                default_bit_rate=None,
            ),
        ),
        Format(
            name="mp4",
            title="H.264 and AAC in MP4",
            container="mp4",
            extension="mp4",
            mime="video/mp4",
            audio=_AAC,
            video=VideoTarget(codecs=frozenset({"h264"}), encoder="libx264", crf=21, preset="veryfast"),
        ),
        Format(
            name="webm",
            title="VP9 and Opus in WebM",
            container="webm",
            extension="webm",
            mime="video/webm",
            audio=AudioTarget(
                codecs=frozenset({"opus", "vorbis"}),
                encoder=_OPUS.encoder,
                default_bit_rate=_OPUS.default_bit_rate,
                least_bit_rate=_OPUS.least_bit_rate,
                most_bit_rate=_OPUS.most_bit_rate,
                sample_rates=_OPUS.sample_rates,
                most_bit_rate_per_channel=_OPUS.most_bit_rate_per_channel,
                most_channels=_OPUS.most_channels,
            ),
            video=VideoTarget(
                codecs=frozenset({"vp8", "vp9", "av1"}),
                encoder="libvpx-vp9",
                crf=32,
                preset=None,
            ),
        ),
    )
}

_BIT_RATE = re.compile(r"([0-9]{1,4})k", re.IGNORECASE)
_HEIGHT = re.compile(r"([0-9]{2,5})p", re.IGNORECASE)
_LEAST_SIDE = 16
_MOST_SIDE = 8640


def find_format(name: str) -> Format:
    """The format of that name. Raises MediaError FORMAT_UNKNOWN, naming a likely one if any."""
    found = FORMATS.get(name)
    if found is not None:
        return found
    known = ", ".join(FORMATS)
    close = difflib.get_close_matches(name.lower(), FORMATS, n=1)
    hint = f"Did you mean `{close[0]}`? " if close else ""
    raise MediaError(
        "FORMAT_UNKNOWN",
        message=f"The format {_quoted(name)} is not known.",
        suggestion=f"{hint}Known formats: {known}.",
    )


def parse_quality(target: Format, text: str | None) -> Quality:
    """What the quality text means for a format.

    Audio formats with a bit rate take `192k`; video formats take `1080p`, the length of the
    shortest side. Raises MediaError QUALITY_INVALID, saying what would work.
    """
    if text is None or text == "":
        return Quality()
    if target.video is not None:
        return _video_quality(target, text)
    return _audio_quality(target, text)


def quality_hint(target: Format) -> str:
    """One sentence: which quality texts the format takes."""
    if target.video is not None:
        return "Give the picture's shortest side, for example 1080p or 720p, or leave it out."
    if target.audio.default_bit_rate is None:
        return (
            f"{target.title} is lossless and takes no quality: leave it out, or choose mp3, m4a or opus for a bit rate."
        )
    least = target.audio.least_bit_rate // 1000
    most = target.audio.most_bit_rate // 1000
    default = target.audio.default_bit_rate // 1000
    return f"Give a bit rate from {least}k to {most}k, for example {default}k, or leave it out."


def _audio_quality(target: Format, text: str) -> Quality:
    match = _BIT_RATE.fullmatch(text)
    if target.audio.default_bit_rate is None:
        what = "a bit rate" if match else f"the quality {_quoted(text)}"
        raise _invalid(target, f"{target.title} does not take {what}.")
    if match is None:
        raise _invalid(target, f"The quality {_quoted(text)} does not fit {target.name}.")
    bit_rate = int(match[1]) * 1000
    if not target.audio.least_bit_rate <= bit_rate <= target.audio.most_bit_rate:
        raise _invalid(target, f"{target.title} cannot be made with {_quoted(text)}.")
    return Quality(bit_rate=bit_rate)


def _video_quality(target: Format, text: str) -> Quality:
    match = _HEIGHT.fullmatch(text)
    if match is None:
        raise _invalid(target, f"The quality {_quoted(text)} does not fit {target.name}.")
    side = int(match[1])
    if not _LEAST_SIDE <= side <= _MOST_SIDE:
        raise _invalid(target, f"A picture of {_quoted(text)} cannot be made.")
    return Quality(shortest_side=side)


def _invalid(target: Format, message: str) -> MediaError:
    return MediaError("QUALITY_INVALID", message=message, suggestion=quality_hint(target))


def _quoted(text: str) -> str:
    """User text inside a message: short and printable."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:40])
    return f'"{shown}"'
