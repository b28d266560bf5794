"""What has to be done to a probed source so that it becomes the format that was asked for.

A stream is copied when it already fits and encoded otherwise; nothing is scaled up.
"""

import re

from actors.media.errors import MediaError
from actors.media.formats import AudioTarget, Format, Quality, VideoTarget
from actors.media.task import AudioPlan, Plan, Probe, Stream, VideoPlan
from actors.media.task import Path as PlanPath

H264_PROFILES = frozenset({"Constrained Baseline", "Baseline", "Main", "High"})
"""H.264 profiles that every player of MP4 decodes."""

AAC_PROFILES = frozenset({"LC", "HE-AAC", "HE-AACv2"})

PASSTHROUGH = {"mp3": "mp3", "ogg": "ogg", "flac": "flac"}
"""Containers whose files are published as they are, and the demuxer that proves the container.
MP4 and WebM share their demuxers with other containers, and WAV headers may lie about the size."""

BIT_RATE_TOLERANCE = 1.05
"""Measured rates wander around the nominal one."""

HEADER_TOLERANCE_S = 0.1
"""A header whose duration is further from the packets is written anew."""


def make_plan(probe: Probe, target: Format, quality: Quality) -> Plan:
    """The plan for one output.

    Raises MediaError NOT_MEDIA, NO_AUDIO or NO_VIDEO when the source lacks what the format needs.
    """
    audio = best_audio(probe)
    video = best_video(probe)
    if audio is None and video is None:
        raise MediaError("NOT_MEDIA", "no audio or video stream")
    if target.video is None:
        if audio is None:
            raise MediaError("NO_AUDIO")
        return _audio_only(probe, audio, target, quality)
    if video is None:
        raise MediaError("NO_VIDEO")
    video_plan = plan_video(video, target.video, quality, keeps_rotation=_keeps_rotation(probe, target))
    audio_plan = None if audio is None else plan_audio(audio, target.audio, None)
    copies = video_plan.action == "copy" and (audio_plan is None or audio_plan.action == "copy")
    used = [video] if audio is None else [video, audio]
    return _plan("remux" if copies else "transcode_single", probe, target, used, video_plan, audio_plan)


def check_limits(probe: Probe, *, max_duration_s: float, max_pixels: int) -> None:
    """Raise MediaError TOO_LONG or PICTURE_TOO_LARGE when a source is beyond the installation's limits."""
    longest = max([probe.duration_s or 0.0, *(stream.last_pts_s or 0.0 for stream in probe.streams)])
    if longest > max_duration_s:
        raise MediaError("TOO_LONG", f"{longest:.0f} s")
    for stream in probe.streams:
        if (stream.width or 0) * (stream.height or 0) > max_pixels:
            raise MediaError("PICTURE_TOO_LARGE", f"{stream.width}x{stream.height}")


def best_audio(probe: Probe) -> Stream | None:
    """The sound people expect: the default stream, else the first."""
    streams = [stream for stream in probe.streams if stream.kind == "audio"]
    return max(streams, key=lambda stream: (stream.default, -stream.index), default=None)


def best_video(probe: Probe) -> Stream | None:
    """The moving picture: the default stream, then the largest; cover art is none."""
    streams = [stream for stream in probe.streams if stream.kind == "video" and not stream.attached_picture]
    return max(streams, key=lambda stream: (stream.default, _pixels(stream), -stream.index), default=None)


def plan_audio(stream: Stream, target: AudioTarget, bit_rate: int | None) -> AudioPlan:
    """Copy the sound when it fits the format and, if a bit rate was asked for, is not above it."""
    if _audio_fits(stream, target) and (bit_rate is None or _at_most(stream.bit_rate, bit_rate)):
        return AudioPlan(stream=stream.index, action="copy")
    channels = _fewer_channels(stream, target)
    return AudioPlan(
        stream=stream.index,
        action="encode",
        encoder=target.encoder,
        bit_rate=_usable_bit_rate(bit_rate or target.default_bit_rate, channels or stream.channels, target),
        sample_rate=_usable_sample_rate(stream.sample_rate, target),
        channels=channels,
    )


def plan_video(stream: Stream, target: VideoTarget, quality: Quality, *, keeps_rotation: bool) -> VideoPlan:
    """Copy the picture when it fits the format and is small enough, else encode it.

    `width` and `height` of the plan are those of the shown picture, after rotation.
    """
    width, height = shown_size(stream)
    limit = quality.shortest_side
    small_enough = limit is None or (width is not None and height is not None and min(width, height) <= limit)
    if _video_fits(stream, target) and small_enough and (stream.rotation == 0 or keeps_rotation):
        return VideoPlan(stream=stream.index, action="copy", width=stream.width, height=stream.height)
    if width is None or height is None:
        raise MediaError("NOT_MEDIA", "a picture without a size")
    width, height = fit_size(width, height, limit)
    return VideoPlan(
        stream=stream.index,
        action="encode",
        encoder=target.encoder,
        width=width,
        height=height,
        crf=target.crf,
        preset=target.preset,
        pixel_format="yuv420p",
    )


def shown_size(stream: Stream) -> tuple[int | None, int | None]:
    """Width and height as people see them."""
    if stream.rotation % 180 != 0:
        return stream.height, stream.width
    return stream.width, stream.height


def fit_size(width: int, height: int, shortest_side: int | None) -> tuple[int, int]:
    """The size with both sides even and the shortest at most `shortest_side`; never larger."""
    shortest = min(width, height)
    if shortest_side is None or shortest <= shortest_side:
        return _even(width), _even(height)
    side = _even(shortest_side)
    longest = max(2, 2 * round(max(width, height) * side / shortest / 2))
    return (side, longest) if width <= height else (longest, side)


def _audio_only(probe: Probe, audio: Stream, target: Format, quality: Quality) -> Plan:
    plan = plan_audio(audio, target.audio, quality.bit_rate)
    as_it_is = (
        plan.action == "copy"
        and target.container in PASSTHROUGH
        and PASSTHROUGH[target.container] in _demuxers(probe)
        and all(stream is audio or stream.attached_picture for stream in probe.streams)
        and _header_is_true(probe, audio)
    )
    return _plan("passthrough" if as_it_is else "extract_audio", probe, target, [audio], None, plan)


def _plan(
    path: PlanPath,
    probe: Probe,
    target: Format,
    used: list[Stream],
    video: VideoPlan | None,
    audio: AudioPlan | None,
) -> Plan:
    return Plan(
        path=path,
        container=target.container,
        extension=target.extension,
        mime=target.mime,
        file_name=f"output.{target.extension}",
        duration_s=expected_duration_s(probe, used),
        video=video,
        audio=audio,
    )


def expected_duration_s(probe: Probe, used: list[Stream]) -> float | None:
    """How long the output will be: from the first to the last packet of the streams it holds."""
    starts = [stream.first_pts_s for stream in used if stream.first_pts_s is not None]
    ends = [stream.last_pts_s for stream in used if stream.last_pts_s is not None]
    if len(starts) == len(used) and len(ends) == len(used):
        return round(max(ends) - min(starts), 6)
    return probe.duration_s


def _audio_fits(stream: Stream, target: AudioTarget) -> bool:
    if stream.codec not in target.codecs:
        return False
    return stream.codec != "aac" or stream.profile is None or stream.profile in AAC_PROFILES


def _video_fits(stream: Stream, target: VideoTarget) -> bool:
    if stream.codec not in target.codecs:
        return False
    if stream.codec != "h264":
        return True
    even = (stream.width or 1) % 2 == 0 and (stream.height or 1) % 2 == 0
    return even and stream.pixel_format == "yuv420p" and stream.profile in H264_PROFILES


def _keeps_rotation(probe: Probe, target: Format) -> bool:
    return target.container == "mp4" and "mp4" in _demuxers(probe)


def _header_is_true(probe: Probe, audio: Stream) -> bool:
    measured = expected_duration_s(probe, [audio])
    if probe.duration_s is None or measured is None:
        return False
    return abs(probe.duration_s - measured) <= HEADER_TOLERANCE_S


def _demuxers(probe: Probe) -> frozenset[str]:
    return frozenset(re.split(r"[,\s]+", probe.container))


def _at_most(measured: int | None, asked: int) -> bool:
    return measured is not None and measured <= asked * BIT_RATE_TOLERANCE


def _fewer_channels(stream: Stream, target: AudioTarget) -> int | None:
    if target.most_channels is None or stream.channels is None or stream.channels <= target.most_channels:
        return None
    return target.most_channels


def _usable_bit_rate(bit_rate: int | None, channels: int | None, target: AudioTarget) -> int | None:
    if bit_rate is None or target.most_bit_rate_per_channel is None or channels is None:
        return bit_rate
    return min(bit_rate, target.most_bit_rate_per_channel * channels)


def _usable_sample_rate(sample_rate: int | None, target: AudioTarget) -> int | None:
    """None keeps the source's rate; otherwise the next higher one that the format can hold."""
    if not target.sample_rates or sample_rate in target.sample_rates:
        return None
    if sample_rate is None:
        return target.sample_rates[-1]
    return next((rate for rate in target.sample_rates if rate >= sample_rate), target.sample_rates[-1])


def _pixels(stream: Stream) -> int:
    return (stream.width or 0) * (stream.height or 0)


def _even(side: int) -> int:
    return max(2, side - side % 2)
