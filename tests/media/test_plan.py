"""The plan is pure: every rule is shown on probes written by hand."""

import itertools

import pytest

from actors.media.errors import MediaError
from actors.media.formats import FORMATS, Quality, parse_quality
from actors.media.plan import check_limits, fit_size, make_plan
from actors.media.task import AudioPlan, Plan, Probe, Stream, VideoPlan

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"


def audio(codec: str = "aac", **facts: object) -> Stream:
    given = {
        "index": 1,
        "profile": "LC" if codec == "aac" else None,
        "sample_rate": 48_000,
        "channels": 2,
        "default": True,
        "first_pts_s": 0.0,
        "last_pts_s": 8.021,
        **facts,
    }
    return Stream(kind="audio", codec=codec, **given)  # type: ignore[arg-type]


def video(codec: str = "h264", **facts: object) -> Stream:
    given = {
        "index": 0,
        "profile": "High" if codec == "h264" else None,
        "pixel_format": "yuv420p",
        "width": 1920,
        "height": 1080,
        "default": True,
        "first_pts_s": 0.0,
        "last_pts_s": 8.0,
        **facts,
    }
    return Stream(kind="video", codec=codec, **given)  # type: ignore[arg-type]


def probe(*streams: Stream, container: str = MP4, duration_s: float | None = 8.021) -> Probe:
    return Probe(container=container, duration_s=duration_s, size_bytes=1, streams=streams)


def plan_for(source: Probe, name: str, quality: str | None = None) -> Plan:
    return make_plan(source, FORMATS[name], parse_quality(FORMATS[name], quality))


CLIP = probe(video(), audio())


@pytest.mark.parametrize(
    ("name", "fitting", "container"),
    [
        ("mp3", "mp3", "mp3"),
        ("m4a", "aac", "aac"),
        ("opus", "opus", "ogg"),
        ("flac", "flac", "flac"),
        ("wav", "pcm_s16le", "wav"),
        ("wav", "pcm_s24le", "wav"),
    ],
)
def test_sound_that_fits_is_copied(name: str, fitting: str, container: str) -> None:
    plan = plan_for(probe(video(), audio(fitting), container=MATROSKA), name)
    assert plan.path == "extract_audio"
    assert plan.video is None
    assert plan.audio == AudioPlan(stream=1, action="copy")


@pytest.mark.parametrize(
    ("name", "encoder", "bit_rate"),
    [
        ("mp3", "libmp3lame", 192_000),
        ("m4a", "aac", 160_000),
        ("opus", "libopus", 128_000),
        ("flac", "flac", None),
        ("wav", "pcm_s16le", None),
    ],
)
def test_other_sound_is_encoded_with_the_default_bit_rate(name: str, encoder: str, bit_rate: int | None) -> None:
    plan = plan_for(probe(audio("vorbis", index=0)), name)
    assert plan.audio == AudioPlan(stream=0, action="encode", encoder=encoder, bit_rate=bit_rate)  # type: ignore[arg-type]
    assert plan.file_name == f"output.{FORMATS[name].extension}"
    assert plan.mime == FORMATS[name].mime
    assert plan.duration_s == 8.021


def test_every_format_and_codec_gives_a_plan_that_its_container_can_hold() -> None:
    codecs = ("aac", "mp3", "opus", "flac", "vorbis", "ac3", "pcm_s16le", "pcm_s24be", "wmav2")
    rates = (7_350, 8_000, 22_050, 37_800, 44_100, 48_000, 96_000, 192_000, None)
    for name, codec, rate, channels in itertools.product(FORMATS, codecs, rates, (1, 2, 6, 12, None)):
        source = probe(video(), audio(codec, sample_rate=rate, channels=channels))
        target = FORMATS[name].audio
        planned = plan_for(source, name).audio
        assert planned is not None
        if planned.action == "copy":
            assert codec in target.codecs
            continue
        assert planned.encoder == target.encoder
        if target.sample_rates:
            assert (planned.sample_rate or rate) in target.sample_rates
        else:
            assert planned.sample_rate is None
        if target.most_channels is not None and channels is not None:
            assert (planned.channels or channels) <= target.most_channels


def test_a_lower_bit_rate_is_never_blown_up_and_a_higher_one_is_reduced() -> None:
    assert plan_for(probe(audio("mp3", bit_rate=128_000)), "mp3", "192k").audio == AudioPlan(stream=1, action="copy")
    reduced = plan_for(probe(audio("mp3", bit_rate=320_000)), "mp3", "192k").audio
    assert reduced is not None
    assert (reduced.action, reduced.bit_rate) == ("encode", 192_000)
    unknown = plan_for(probe(audio("mp3", bit_rate=None)), "mp3", "192k").audio
    assert unknown is not None
    assert unknown.action == "encode"


def test_opus_of_one_channel_stays_below_what_its_encoder_accepts() -> None:
    planned = plan_for(probe(audio("flac", channels=1)), "opus", "400k").audio
    assert planned is not None
    assert planned.bit_rate == 256_000


@pytest.mark.parametrize("profile", ["Main", "LTP", "xHE-AAC"])
def test_rare_aac_profiles_are_encoded(profile: str) -> None:
    planned = plan_for(probe(audio(profile=profile)), "m4a").audio
    assert planned is not None
    assert planned.action == "encode"


def test_a_file_that_is_the_format_already_is_passed_through() -> None:
    source = probe(audio("mp3", index=0), container="mp3")
    assert plan_for(source, "mp3").path == "passthrough"
    cover = video("mjpeg", index=1, attached_picture=True)
    assert plan_for(probe(audio("mp3", index=0), cover, container="mp3"), "mp3").path == "passthrough"


def test_a_header_with_a_wrong_duration_is_written_anew() -> None:
    for header in (None, 12.0):
        source = probe(audio("flac", index=0), container="flac", duration_s=header)
        plan = plan_for(source, "flac")
        assert plan.path == "extract_audio"
        assert plan.duration_s == 8.021


def test_a_fitting_clip_is_only_put_into_the_container_again() -> None:
    plan = plan_for(CLIP, "mp4")
    assert plan.path == "remux"
    assert plan.video == VideoPlan(stream=0, action="copy", width=1920, height=1080)
    assert plan.audio == AudioPlan(stream=1, action="copy")


@pytest.mark.parametrize(
    "facts",
    [
        {"profile": "High 10", "pixel_format": "yuv420p10le"},
        {"profile": "High 4:4:4 Predictive", "pixel_format": "gbrp"},
        {"profile": "High", "pixel_format": "yuvj420p"},
        {"profile": None},
        {"width": 1919},
        {"height": 1081},
        {"codec": "hevc"},
        {"codec": "mpeg4"},
    ],
)
def test_pictures_that_players_reject_are_encoded(facts: dict[str, object]) -> None:
    plan = plan_for(probe(video(**facts), audio()), "mp4")  # type: ignore[arg-type]
    assert plan.path == "transcode_single"
    assert plan.video is not None
    assert (plan.video.action, plan.video.encoder, plan.video.pixel_format) == ("encode", "libx264", "yuv420p")
    assert plan.video.width is not None
    assert plan.video.height is not None
    assert plan.video.width % 2 == plan.video.height % 2 == 0
    assert plan.audio == AudioPlan(stream=1, action="copy")


def test_webm_copies_open_codecs_and_encodes_the_rest() -> None:
    for codec in ("vp8", "vp9", "av1"):
        assert plan_for(probe(video(codec), audio("opus"), container=MATROSKA), "webm").path == "remux"
    plan = plan_for(CLIP, "webm")
    assert plan.video is not None
    assert plan.audio is not None
    assert (plan.video.encoder, plan.audio.encoder) == ("libvpx-vp9", "libopus")


def test_rotation_is_kept_by_mp4_from_mp4_and_drawn_otherwise() -> None:
    turned = video(rotation=90, width=1920, height=1080)
    assert plan_for(probe(turned, audio()), "mp4").path == "remux"
    for source, name in ((probe(turned, audio(), container=MATROSKA), "mp4"), (probe(turned, audio()), "webm")):
        plan = plan_for(source, name)
        assert plan.video is not None
        assert (plan.video.action, plan.video.width, plan.video.height) == ("encode", 1080, 1920)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((1920, 1080), 720, (1280, 720)),
        ((1080, 1920), 720, (720, 1280)),
        ((1920, 1080), 1080, (1920, 1080)),
        ((640, 360), 1080, (640, 360)),
        ((321, 181), None, (320, 180)),
        ((1, 1), None, (2, 2)),
        ((4096, 17), 16, (3856, 16)),
        ((1920, 800), 481, (1152, 480)),
    ],
)
def test_sizes_are_even_never_larger_and_measured_by_the_shortest_side(
    size: tuple[int, int], side: int | None, expected: tuple[int, int]
) -> None:
    assert fit_size(*size, side) == expected


def test_sizes_keep_the_shape_of_the_picture() -> None:
    for width, height, side in itertools.product(range(100, 2000, 173), range(100, 2000, 191), (90, 240, 480, 721)):
        new_width, new_height = fit_size(width, height, side)
        assert new_width % 2 == new_height % 2 == 0
        assert new_width <= width + 1
        assert new_height <= height + 1
        assert min(new_width, new_height) <= max(side, 2)
        shortest = min(new_width, new_height)
        assert abs(new_width / new_height - width / height) / (width / height) <= 3 / shortest


def test_a_height_limit_measures_the_shown_picture_and_never_scales_up() -> None:
    upright = probe(video(width=1080, height=1920), audio())
    assert plan_for(upright, "mp4", "1080p").path == "remux"
    smaller = plan_for(upright, "mp4", "720p").video
    assert smaller is not None
    assert (smaller.action, smaller.width, smaller.height) == ("encode", 720, 1280)


def test_cover_art_is_no_video() -> None:
    song = probe(audio("mp3", index=0), video("mjpeg", index=1, attached_picture=True), container="mp3")
    with pytest.raises(MediaError) as caught:
        plan_for(song, "mp4")
    assert caught.value.code == "NO_VIDEO"
    assert plan_for(song, "m4a").video is None


def test_missing_streams_have_their_own_codes() -> None:
    with pytest.raises(MediaError, match="NO_AUDIO"):
        plan_for(probe(video()), "mp3")
    with pytest.raises(MediaError, match="NO_VIDEO"):
        plan_for(probe(audio()), "mp4")
    with pytest.raises(MediaError, match="NOT_MEDIA"):
        plan_for(probe(Stream(index=0, kind="subtitle", codec="subrip")), "mp3")
    silent = plan_for(probe(video()), "mp4")
    assert silent.audio is None
    assert silent.path == "remux"


def test_the_default_stream_wins_then_the_first_sound_and_the_largest_picture() -> None:
    source = probe(
        video(index=0, width=640, height=360, default=False),
        video(index=1, default=False),
        audio(index=2, default=False),
        audio(index=3, default=True),
    )
    plan = plan_for(source, "mp4")
    assert plan.video is not None
    assert plan.audio is not None
    assert (plan.video.stream, plan.audio.stream) == (1, 3)


def test_the_expected_duration_covers_all_streams_or_comes_from_the_header() -> None:
    late = probe(video(first_pts_s=0.5, last_pts_s=9.0), audio(first_pts_s=0.2, last_pts_s=8.0))
    assert plan_for(late, "mp4").duration_s == 8.8
    assert plan_for(late, "mp3").duration_s == 7.8
    unmeasured = probe(video(first_pts_s=None, last_pts_s=None), audio())
    assert plan_for(unmeasured, "mp4").duration_s == 8.021


def test_limits_look_at_headers_and_packets() -> None:
    check_limits(CLIP, max_duration_s=9.0, max_pixels=1920 * 1080)
    with pytest.raises(MediaError, match="TOO_LONG"):
        check_limits(probe(audio(last_pts_s=10.0)), max_duration_s=9.0, max_pixels=1)
    with pytest.raises(MediaError, match="PICTURE_TOO_LARGE"):
        check_limits(CLIP, max_duration_s=9.0, max_pixels=1920 * 1080 - 1)


def test_the_same_probe_gives_the_same_plan() -> None:
    assert make_plan(CLIP, FORMATS["mp4"], Quality(shortest_side=480)) == make_plan(
        CLIP, FORMATS["mp4"], Quality(shortest_side=480)
    )
