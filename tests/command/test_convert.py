"""`reelway convert` as its user sees it: a real file in, a checked file out, and a clear answer to bad input."""

import contextlib
import hashlib
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.command.failure import CommandFailure
from tests.command.pacing import audio_seconds, paced_site
from tests.command.reelway import COMMAND, LOOPBACK, Reelway, Up, finish
from tests.command.waiting import wait_for
from tests.media_samples import MediaFactory


def test_clip_becomes_mp3(reelway: Reelway, clip: Path, ffmpeg: Path) -> None:
    ended = reelway.run("convert", str(clip), "--to", "mp3", "-o", "out.mp3", "--json")
    assert ended.code == 0, ended.stderr
    result = reelway.folder / "out.mp3"
    job = ended.json()
    assert (job["state"], job["format"], job["progress"]["percent"]) == ("completed", "mp3", 100)
    assert job["source"].startswith("upload:")
    (output,) = job["outputs"]
    assert output["size_bytes"] == result.stat().st_size
    assert output["sha256"] == hashlib.sha256(result.read_bytes()).hexdigest()
    assert output["codecs"] == {"video": None, "audio": "mp3"}
    assert output["type"] == "audio/mpeg"
    assert output["duration_s"] == pytest.approx(audio_seconds(ffmpeg, clip), abs=0.05)
    assert audio_seconds(ffmpeg, result) == pytest.approx(audio_seconds(ffmpeg, clip), abs=0.05)
    for stage in ("upload", "ingest", "fetch", "transcode", "store", "save"):
        assert f"{stage:<10} done" in ended.stderr
    wait_for(lambda: not reelway.processes(), "nothing stays behind", within_s=5)
    assert not list(reelway.data.glob("converts/*"))
    assert not reelway.data.joinpath("instance.json").exists()


def test_result_is_named_after_its_source_and_told_on_stdout(reelway: Reelway, clip: Path) -> None:
    ended = reelway.run("convert", str(clip), "--to", "m4a")
    assert ended.code == 0, ended.stderr
    result = reelway.folder / f"{clip.stem}.m4a"
    assert ended.stdout == f"{result}\n"
    assert result.stat().st_size > 0


def test_second_conversion_in_the_same_directory(reelway: Reelway, clip: Path) -> None:
    assert reelway.run("convert", str(clip), "-o", "out.flac").code == 0
    again = reelway.run("convert", str(clip), "-o", "out.flac")
    assert again.code == 2
    assert "OUTPUT_EXISTS" in again.stderr
    first = (reelway.folder / "out.flac").stat().st_mtime_ns
    assert reelway.run("convert", str(clip), "-o", "out.flac", "--force").code == 0
    assert (reelway.folder / "out.flac").stat().st_mtime_ns > first


def test_two_conversions_at_once_in_one_data_directory(reelway: Reelway, clip: Path) -> None:
    started = [reelway.start("convert", str(clip), "-o", f"out{number}.mp3", "--json") for number in range(2)]
    ended = [finish(process, 60) for process in started]
    assert [one.code for one in ended] == [0, 0], ended
    assert len({one.json()["id"] for one in ended}) == 2
    for number in range(2):
        assert (reelway.folder / f"out{number}.mp3").stat().st_size > 0


BAD_INPUT = {
    "missing file": (["convert", "missing.mp4"], "FILE_NOT_FOUND"),
    "directory": (["convert", "."], "FILE_IS_FOLDER"),
    "empty file": (["convert", "empty.mp4"], "UPLOAD_EMPTY"),
    "unknown format": (["convert", "text.mp4", "--to", "mp33"], "FORMAT_UNKNOWN"),
    "quality that does not fit": (["convert", "text.mp4", "--to", "flac", "--quality", "192k"], "QUALITY_INVALID"),
    "address that is none": (["convert", "ftp://example.org/a.mp4"], "INVALID_SOURCE"),
    "existing result": (["convert", "text.mp4", "-o", "taken.mp3"], "OUTPUT_EXISTS"),
    "no source": (["convert"], "USAGE"),
    "unknown command": (["transmogrify"], "USAGE"),
    "unknown option": (["convert", "text.mp4", "--too", "mp3"], "USAGE"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_before_anything_starts(reelway: Reelway, case: str) -> None:
    (reelway.folder / "empty.mp4").touch()
    (reelway.folder / "text.mp4").write_text("not a film")
    (reelway.folder / "taken.mp3").write_text("precious")
    words, code = BAD_INPUT[case]
    ended = reelway.run(*words, "--json")
    assert ended.code == 2
    error = ended.json()["error"]
    assert error["code"] == code
    assert error["message"] in ended.stderr
    assert error["suggestion"] in ended.stderr
    assert f"[{code}]" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not reelway.data.exists(), "nothing was started"
    assert (reelway.folder / "taken.mp3").read_text() == "precious"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One cluster for all cases that need one."""
    command = Reelway(tmp_path_factory.mktemp("up"), LOOPBACK)
    with command.up() as up:
        yield up
    command.end()


def _api_code(up: Up, source: str) -> str:
    """What the API itself says about the same source: the problem's code, or the failed job's."""
    try:
        job = up.end_of(up.submit(source).id)
    except CommandFailure as refused:
        return refused.code
    assert job.error is not None
    assert job.error.suggestion
    return job.error.code


def test_text_file_with_a_media_name(running: Up, media_factory: MediaFactory) -> None:
    ended = running.command.run("convert", str(media_factory.text()), "-o", "text.mp3", "--json")
    assert ended.code == 3, ended.stderr
    job = ended.json()
    assert (job["state"], job["error"]["code"], job["outputs"]) == ("failed", "NOT_MEDIA", [])
    assert "[NOT_MEDIA]" in ended.stderr
    assert job["error"]["suggestion"] in ended.stderr
    assert not (running.command.folder / "text.mp3").exists()


def test_address_that_holds_nothing(running: Up) -> None:
    with paced_site(b"") as site:
        source = f"{site.url}/nothing.mp4"
        ended = running.command.run("convert", source, "--json")
        assert ended.code == 3, ended.stderr
        assert ended.json()["error"]["code"] == "NOT_FOUND" == _api_code(running, source)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("source", ["http://10.1.2.3/a.mp4", "http://[::1]/a.mp4", "http://169.254.169.254/latest"])
def test_refused_address(running: Up, source: str) -> None:
    ended = running.command.run("convert", source, "--json")
    assert ended.code in (2, 3), ended.stderr
    document = ended.json()
    assert document["error"]["code"] == "ADDRESS_REFUSED" == _api_code(running, source)
    assert "REELWAY_EGRESS_ALLOW" in ended.stderr


def test_second_up_says_who_serves(running: Up) -> None:
    ended = running.command.run("up", "--json", "--port", "0")
    assert ended.code == 2
    error = ended.json()["error"]
    assert error["code"] == "ALREADY_UP"
    assert str(running.process.pid) in error["message"]


def test_other_commands_find_the_running_instance(running: Up, clip: Path) -> None:
    submitted = running.command.run("submit", str(clip), "--to", "opus", "--wait", "--json")
    assert submitted.code == 0, submitted.stderr
    job = submitted.json()
    assert job["state"] == "completed"
    listed = running.command.run("jobs", "--json").json()["jobs"]
    assert job["id"] in [one["id"] for one in listed]
    watched = running.command.run("watch", job["id"], "--json")
    assert watched.code == 0
    types = [json.loads(line)["type"] for line in watched.stdout.splitlines()]
    assert types[0] == "snapshot"
    assert types[-1] == "job.completed"
    ended_before = running.command.run("cancel", job["id"], "--json")
    assert ended_before.code == 2
    assert ended_before.json()["error"]["code"] == "ILLEGAL_STATE"
    unknown = running.command.run("watch", "j00-01h00000000000000000000000", "--json")
    assert unknown.code == 2
    assert unknown.json()["error"]["code"] == "JOB_NOT_FOUND"


def test_data_directory_with_an_awkward_name(tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / "Müll & co #1 100%"
    folder.mkdir()
    command = Reelway(folder)
    ended = command.run("convert", str(clip), "-o", "häßlich ?.mp3", "--json")
    command.end()
    assert ended.code == 0, ended.stderr
    assert (folder / "häßlich ?.mp3").stat().st_size > 0


def test_file_whose_name_is_no_text(running: Up, clip: Path) -> None:
    odd = Path(os.fsdecode(b"film \xff\n.mp4"))
    (running.command.folder / odd).write_bytes(clip.read_bytes())
    ended = running.command.run("convert", str(odd), "--to", "mp3")
    assert ended.code == 0, ended.stderr
    assert (running.command.folder / "film.mp3").exists()
    missing = running.command.run("convert", os.fsdecode(b"missing \xff.mp4"), "--json")
    assert missing.json()["error"]["code"] == "FILE_NOT_FOUND"


def test_address_becomes_a_file_named_after_it(running: Up, clip: Path, ffmpeg: Path) -> None:
    with paced_site(clip.read_bytes()) as site:
        site.release()
        ended = running.command.run("convert", f"{site.url}/clip.mp4", "--to", "opus", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json()["outputs"][0]["codecs"]["audio"] == "opus"
    assert audio_seconds(ffmpeg, running.command.folder / "clip.opus") == pytest.approx(8.0, abs=0.05)


def test_terminal_gets_a_bar_for_each_stage(running: Up, clip: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "convert", str(clip), "-o", "bars.flac"],
        cwd=running.command.folder,
        env={**running.command.environment, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    drawn = bytearray()
    with contextlib.suppress(OSError):  # what reading a terminal says once nobody writes to it any more
        while piece := os.read(controller, 65536):
            drawn += piece
    os.close(controller)
    assert process.wait(30) == 0
    last = drawn.decode().rsplit("upload", 1)[1]
    for stage in ("ingest", "fetch", "transcode", "store", "save"):
        assert stage in last
    assert last.count("100%") == 6
