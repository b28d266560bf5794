"""Log lines: JSON that a machine reads, without secrets."""

import json
import logging

import pytest
import structlog

from actors.logging import configure, redact_text
from actors.settings import LoggingSettings


@pytest.fixture(autouse=True)
def restored() -> "object":
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_have_the_agreed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LoggingSettings(), "fetch")
    structlog.get_logger("x").info("stage.ended", job="j00-x", stage="fetch", fence="1.ab")
    structlog.get_logger("x").debug("hidden")
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "event": "stage.ended", "level": "info", "role": "fetch", "job": "j00-x", "stage": "fetch", "fence": "1.ab",
    }  # fmt: skip


def test_other_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LoggingSettings(), "gateway")
    logging.getLogger("aiohttp.server").warning("bad request from %s", "redis://user:pw@host/0")
    (line,) = lines(capsys)
    assert (line["level"], line["role"]) == ("warning", "gateway")
    assert line["event"] == "bad request from redis://***@host/0"


def test_a_traceback_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LoggingSettings(), "fetch")
    try:
        raise ValueError("https://example.com/a?token=abc")
    except ValueError:
        structlog.get_logger("x").exception("stage.bug")
    (line,) = lines(capsys)
    assert "ValueError" in str(line["exception"])
    assert "abc" not in str(line["exception"])


def test_secrets_are_hidden_by_name_and_by_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LoggingSettings(), "fetch")
    structlog.get_logger("x").warning(
        "a",
        password="p1",
        api_key="p2",
        Authorization="p3",
        cookie="p4",
        token="p5",
        key="p6",
        url="http://u:p7@h/a?p8=p9",
    )
    text = capsys.readouterr().err
    assert not [secret for secret in ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9") if secret in text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("see https://example.com/a?b=c&d=e now", "see https://example.com/a?*** now"),
        ("redis://:secret@127.0.0.1:6379/0", "redis://***@127.0.0.1:6379/0"),
        ("Bearer rw_abcdefgh12345", "Bearer ***"),
    ],
)
def test_texts_lose_their_secrets(text: str, expected: str) -> None:
    assert redact_text(text) == expected


def test_people_can_have_it_readable(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LoggingSettings(format="console"), "fetch")
    structlog.get_logger("x").info("stage.ended", job="j00-x")
    assert "stage.ended" in capsys.readouterr().err
