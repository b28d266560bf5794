"""The error table: texts of other programs find their code, and every entry can be shown to people."""

import random
import re

import pytest

from actors.kernel import execution, keeper
from actors.kernel.scripts import LUA
from actors.media.errors import MediaError, draw_delay_s, error_table
from actors.media.errors_page import PAGE, render

TABLE = error_table()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[mov,mp4 @ 0x1] moov atom not found\nx: Invalid data found when processing input", "SOURCE_TRUNCATED"),
        ("x.mp4: Invalid data found when processing input", "NOT_MEDIA"),
        ("av_interleaved_write_frame(): No space left on device\nConversion failed!", "DISK_FULL"),
        ("[libx264 @ 0x] width not divisible by 2 (321x181)", "ENCODER_REJECTS"),
        ("Picture size 60000x60000 exceeds specified max pixel count", "PICTURE_TOO_LARGE"),
        ("everything is well", None),
    ],
)  # fmt: skip
def test_ffmpeg_texts(text: str, code: str | None) -> None:
    assert TABLE.code_for_ffmpeg(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ERROR: [youtube] x: Private video. Sign in if you've been granted access", "PRIVATE"),
        ("ERROR: [youtube] x: Sign in to confirm you're not a bot. Use --cookies", "BOT_CHECK"),
        ("ERROR: Unsupported URL: http://example.com/", "URL_UNSUPPORTED"),
        ("ERROR: unable to download video data: HTTP Error 403: Forbidden", "SOURCE_REFUSED"),
        ("ERROR: Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404>)", "NOT_FOUND"),
        ("ERROR: Unable to download webpage: HTTP Error 503: Service Unavailable", "NET_TEMP"),
        ("ERROR: fragment 4 not found, unable to continue", "FRAGMENT_LOST"),
        ("ERROR: This video is DRM protected", "DRM"),
        ("ERROR: 'id'; please report this issue on  https://example.com", "EXTRACTOR_BROKEN"),
        ("ERROR: [generic] Unable to download webpage: <urlopen error [Errno 111] Connection refused>", "NET_TEMP"),
        ("ERROR: Requested format is not available", "FORMAT_UNAVAILABLE"),
        ("ERROR: Premieres in 3 hours", "NOT_STARTED"),
        ("something new", None),
    ],
)
def test_ytdlp_texts(text: str, code: str | None) -> None:
    assert TABLE.code_for_ytdlp(text) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "LOGIN_REQUIRED"),
        (403, "SOURCE_REFUSED"),
        (404, "NOT_FOUND"),
        (410, "NOT_FOUND"),
        (429, "RATE_LIMITED"),
        (451, "GEO_BLOCKED"),
        (499, "SOURCE_REFUSED"),
        (503, "NET_TEMP"),
        (599, "NET_TEMP"),
    ],
)
def test_http_statuses(status: int, code: str) -> None:
    assert TABLE.code_for_http(status) == code


def test_every_entry_is_complete_and_unambiguous() -> None:
    codes = [rule.code for rule in TABLE]
    assert len(codes) == len(set(codes))
    statuses = [status for rule in TABLE for status in rule.http]
    assert len(statuses) == len(set(statuses))
    for rule in TABLE:
        assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", rule.code)
        assert rule.message.endswith(".")
        assert rule.suggestion.endswith(".")
        assert rule.base_s <= rule.cap_s
        for pattern in (*rule.ytdlp, *rule.ffmpeg):
            assert not re.search(r"\(\?[=!<]|\\[1-9]", pattern), "Rust's regex has neither lookaround nor references"


def test_an_unknown_code_reads_as_internal() -> None:
    body = TABLE.error_body("NO_SUCH_CODE")
    assert body.code == "INTERNAL"
    assert "NO_SUCH_CODE" not in body.message


def test_pauses_grow_with_equal_jitter_up_to_the_cap_and_honour_retry_after() -> None:
    rule = TABLE.rule("NET_TEMP")
    assert rule.delay_s(1, 0.0) == 1.0
    assert rule.delay_s(1, 1.0) == 2.0
    assert rule.delay_s(3, 1.0) == 8.0
    assert rule.delay_s(1000, 1.0) == rule.cap_s
    random.seed(7)
    drawn = [draw_delay_s(rule, 4) for _ in range(200)]
    assert all(8.0 <= delay_s <= 16.0 for delay_s in drawn)
    assert max(drawn) - min(drawn) > 4.0
    assert draw_delay_s(rule, 1, retry_after_s=77.0) == 77.0


def test_details_stay_out_of_what_clients_read() -> None:
    error = MediaError("NET_TEMP", "10.0.0.1 said no")
    assert "10.0.0.1" not in str(TABLE.error_body(error.code, error.message, error.suggestion))


def test_bodies_that_the_kernel_writes_by_itself_agree_with_the_table() -> None:
    for raw in (keeper.WORKER_LOST, keeper.CRASH_LOOP, keeper.RESTARTED, execution.STOPPING, execution.CANCELLING):
        code = re.search(rb'"code":"([A-Z_]+)"', raw)
        assert code is not None
        rule = TABLE.rule(code[1].decode())
        assert rule.code == code[1].decode()
        assert rule.message.encode() in raw


def test_bodies_that_the_scripts_write_by_themselves_agree_with_the_table() -> None:
    texts = "".join(path.read_text("utf-8") for path in sorted(LUA.glob("**/*.lua")))
    joined = re.sub(r"'\s*\.\. '", "", texts)
    written = re.findall(r'"code":"([A-Z_]+)","message":"([^"]+)"', joined)
    assert {code for code, _ in written} == {
        "CHILD_FAILED", "TENANT_LIMIT", "TURN_AWAITED", "CHILDREN_AWAITED", "SCHEDULED",
    }  # fmt: skip
    for code, message in written:
        assert TABLE.rule(code).code == code
        # How many parts are awaited is counted in its message; tests/gateway/test_batches.py reads it.
        assert TABLE.rule(code).message == message or code == "CHILDREN_AWAITED"


def test_the_page_of_errors_is_the_table() -> None:
    assert PAGE.read_text("utf-8") == render(TABLE), "run `python -m actors.media.errors_page`"
