"""The error table: what each code means, whether to try again, and what to tell people.

`errors.toml` next to this file is the only source of codes, texts and retry rules.
"""

import random
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from importlib import resources
from typing import Literal

import msgspec

from actors.media.task import ErrorBody, ReasonBody

ErrorClass = Literal["transient", "throttled", "permanent", "stalled", "cancelled"]

UNKNOWN_CODE = "INTERNAL"
DEFAULT_BASE_S = 2.0
DEFAULT_CAP_S = 120.0


class MediaError(Exception):
    """A failure with a code of the table.

    `message` and `suggestion` replace the table's texts where they can be more exact; they are
    shown to users. `detail` is for the log only. `retry_after_s` is what the other side asked for.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        message: str | None = None,
        suggestion: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.message = message
        self.suggestion = suggestion
        self.retry_after_s = retry_after_s


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the table; the fields are explained at its top."""

    code: str
    cls: ErrorClass = msgspec.field(name="class")
    message: str
    suggestion: str
    base_s: float = DEFAULT_BASE_S
    cap_s: float = DEFAULT_CAP_S
    shared: bool = False
    budget: int | None = None
    again: bool | None = msgspec.field(default=None, name="retryable")
    operator: bool = False
    http: tuple[int, ...] = ()
    exceptions: tuple[str, ...] = ()
    ytdlp: tuple[str, ...] = ()
    ffmpeg: tuple[str, ...] = ()

    @property
    def retryable(self) -> bool:
        """Whether the same job may succeed when it is tried again."""
        return self.cls in ("transient", "throttled", "stalled") if self.again is None else self.again

    def delay_s(self, attempt: int, draw: float) -> float:
        """The pause after the attempt with that number (from 1), with equal jitter.

        `draw` is a random number from 0 to 1: half of the pause is fixed, half is drawn, so a
        burst of failures spreads out and no pause is close to zero.
        """
        return _drawn(min(self.cap_s, self.base_s * 2.0 ** min(max(attempt, 1) - 1, 30)), draw)

    def shared_delay_s(self, lasted_s: float, draw: float) -> float:
        """The pause where the cause is shared and has been met for `lasted_s`: it doubles that time, within bounds."""
        return _drawn(min(self.cap_s, max(self.base_s, lasted_s)), draw)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    error: tuple[Rule, ...]


class ErrorTable:
    """The rules by code, and the lookups by what another program said."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.code: rule for rule in rules}
        self._http = {status: rule.code for rule in self for status in rule.http}
        self._exceptions = {name: rule.code for rule in self for name in rule.exceptions}

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules.values())

    def __contains__(self, code: str) -> bool:
        return code in self._rules

    @cached_property
    def _ytdlp(self) -> list[tuple[str, re.Pattern[str]]]:
        return _compiled((rule.code, pattern) for rule in self for pattern in rule.ytdlp)

    @cached_property
    def _ffmpeg(self) -> list[tuple[str, re.Pattern[str]]]:
        return _compiled((rule.code, pattern) for rule in self for pattern in rule.ffmpeg)

    def rule(self, code: str) -> Rule:
        """The rule of a code; a code that is not in the table is a bug and reads as INTERNAL."""
        return self._rules.get(code) or self._rules[UNKNOWN_CODE]

    def error_body(self, code: str, message: str | None = None, suggestion: str | None = None) -> ErrorBody:
        """What the client reads about a failed job."""
        rule = self.rule(code)
        return ErrorBody(
            code=rule.code,
            message=message or rule.message,
            suggestion=suggestion or rule.suggestion,
            retryable=rule.retryable,
        )

    def reason_body(self, code: str, message: str | None = None, until_ms: int | None = None) -> ReasonBody:
        """What the client reads while the job waits or repeats a stage."""
        rule = self.rule(code)
        return ReasonBody(code=rule.code, message=message or rule.message, until_ms=until_ms)

    def code_for_http(self, status: int) -> str:
        """The code for an HTTP status from 400 on."""
        found = self._http.get(status)
        if found is not None:
            return found
        return "NET_TEMP" if status >= 500 else "SOURCE_REFUSED"

    def code_for_exceptions(self, names: Iterable[str]) -> str | None:
        """The code for the first of yt-dlp's exception class names that the table knows."""
        return next((self._exceptions[name] for name in names if name in self._exceptions), None)

    def code_for_ytdlp(self, text: str) -> str | None:
        """The code for a message of yt-dlp, None when no pattern fits."""
        return _first_match(self._ytdlp, text)

    def code_for_ffmpeg(self, text: str) -> str | None:
        """The code for ffmpeg's messages, None when no pattern fits."""
        return _first_match(self._ffmpeg, text)


def _drawn(whole_s: float, draw: float) -> float:
    return float(whole_s / 2 + whole_s / 2 * draw)


def _compiled(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, re.Pattern[str]]]:
    return [(code, re.compile(pattern, re.IGNORECASE)) for code, pattern in pairs]


def _first_match(patterns: list[tuple[str, re.Pattern[str]]], text: str) -> str | None:
    return next((code for code, pattern in patterns if pattern.search(text)), None)


@cache
def error_table() -> ErrorTable:
    """The table, read once. Raises at start, not in the middle of a job, when it is broken."""
    text = resources.files(__package__).joinpath("errors.toml").read_text("utf-8")
    return ErrorTable(msgspec.convert(tomllib.loads(text), _Table).error)


def draw_delay_s(rule: Rule, attempt: int, retry_after_s: float | None = None, lasted_s: float | None = None) -> float:
    """The pause before the next attempt; a longer Retry-After of the other side wins.

    `lasted_s`: for how long a shared cause has been met; it counts instead of the attempt.
    """
    draw = random.random()
    delay_s = rule.delay_s(attempt, draw) if lasted_s is None else rule.shared_delay_s(lasted_s, draw)
    return max(delay_s, retry_after_s or 0.0)
