"""Every format through every stage: the result is what the plan said, decodes, and has all of the source."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.media.task import Result, decode
from actors.native import find_native
from tests.conftest import RedisServer
from tests.media.chain import Chain
from tests.media_samples import MediaFactory, ffmpeg, media_factory

__all__ = ["ffmpeg", "media_factory"]

SOUND_TOLERANCE_S = 0.05


def runs_the_actor() -> bool:
    native = find_native()
    return native is not None and subprocess.run([native, "run", "--help"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not runs_the_actor(), reason="reelway-transcode is not built")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Path) -> Iterator[Chain]:
    server = RedisServer()
    server.start()
    made = Chain(server.url, tmp_path_factory.mktemp("chain"), ffmpeg)
    yield made
    made.stop()
    server.stop()


def streams(chain: Chain, path: Path) -> dict[str, dict[str, object]]:
    found = chain.probe(path)["streams"]
    assert isinstance(found, list)
    return {stream["kind"]: stream for stream in found if not stream["attached_picture"]}


def shown(video: dict[str, object]) -> tuple[object, object]:
    """Width and height as people see them."""
    turned = int(str(video["rotation"])) % 180 != 0
    return (video["height"], video["width"]) if turned else (video["width"], video["height"])


CASES = [
    # source, format, quality, video codec, audio codec
    ("clip", "mp3", None, None, "mp3"),
    ("clip", "mp3", "64k", None, "mp3"),
    ("clip", "m4a", None, None, "aac"),
    ("clip", "opus", None, None, "opus"),
    ("clip", "flac", None, None, "flac"),
    ("clip", "wav", None, None, "pcm_s16le"),
    ("clip", "mp4", None, "h264", "aac"),
    ("clip", "mp4", "90p", "h264", "aac"),
    ("clip", "webm", "90p", "vp9", "opus"),
    ("webm", "webm", None, "vp9", "opus"),
    ("webm", "opus", None, None, "opus"),
    ("webm", "mp4", None, "h264", "aac"),
    ("cover_art", "mp3", None, None, "mp3"),
    ("cover_art", "m4a", None, None, "aac"),
    ("late_index", "m4a", "96k", None, "aac"),
    ("odd_size", "mp4", None, "h264", "aac"),
    ("ten_bit", "mp4", None, "h264", "aac"),
    ("variable_rate", "mp4", None, "h264", "aac"),
    ("silent_clip", "mp4", None, "h264", None),
    ("rotated", "mp4", None, "h264", "aac"),
    ("rotated", "webm", "90p", "vp9", "opus"),
]


@pytest.mark.parametrize(("sample", "target", "quality", "picture", "sound"), CASES)
def test_a_result_is_complete_and_of_the_asked_kind(
    chain: Chain,
    media_factory: MediaFactory,
    sample: str,
    target: str,
    quality: str | None,
    picture: str | None,
    sound: str | None,
) -> None:
    source: Path = getattr(media_factory, sample)()
    view, path = chain.convert(source, target, quality)
    assert view.state == "completed", (view.error, chain.log.read_text()[-2000:])
    assert path is not None
    assert view.result is not None
    (output,) = decode(Result, view.result).outputs
    data = path.read_bytes()
    assert (output.size_bytes, output.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (output.codecs.video, output.codecs.audio) == (picture, sound)
    assert output.name == f"{source.stem}.{target}"
    found = streams(chain, path)
    assert {kind: stream["codec"] for kind, stream in found.items()} == {
        kind: codec for kind, codec in (("video", picture), ("audio", sound)) if codec
    }
    if sound is not None:
        assert chain.sound_s(path) == pytest.approx(chain.sound_s(source), abs=SOUND_TOLERANCE_S)
    if picture is not None:
        assert chain.frames(path) == chain.frames(source)
        assert found["video"]["pixel_format"] == "yuv420p"
        assert (output.width, output.height) == shown(found["video"])


def test_a_fitting_clip_is_copied_bit_by_bit(chain: Chain, media_factory: MediaFactory) -> None:
    def hashes(path: Path) -> bytes:
        arguments = ["-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-f", "streamhash", "-"]
        return subprocess.run([str(chain.ffmpeg), *arguments], capture_output=True, check=True).stdout

    source = media_factory.late_index()
    _, path = chain.convert(source, "mp4")
    assert path is not None
    assert hashes(path) == hashes(source)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first, so that it plays while it loads"


def test_a_turned_clip_is_shown_upright(chain: Chain, media_factory: MediaFactory) -> None:
    source = media_factory.rotated()
    for target, quality in (("mp4", None), ("webm", "90p")):
        _, path = chain.convert(source, target, quality)
        assert path is not None
        width, height = shown(streams(chain, path)["video"])
        assert int(str(height)) > int(str(width))


@pytest.mark.parametrize(
    ("sample", "target", "code"),
    [
        ("truncated", "mp3", "SOURCE_TRUNCATED"),
        ("text", "mp4", "NOT_MEDIA"),
        ("empty", "mp3", "NOT_MEDIA"),
        ("silent_clip", "opus", "NO_AUDIO"),
        ("audio", "webm", "NO_VIDEO"),
    ],
)
def test_bad_sources_fail_with_a_code_and_publish_nothing(
    chain: Chain,
    media_factory: MediaFactory,
    sample: str,
    target: str,
    code: str,
) -> None:
    view, path = chain.convert(getattr(media_factory, sample)(), target)
    assert path is None
    assert view.state == "failed"
    assert msgspec.json.decode(view.error or b"{}")["code"] == code
    assert not (chain.folder / "storage" / "out" / view.job).exists()
