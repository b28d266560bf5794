"""Log lines: JSON for machines or text for people, on standard error.

Levels say what the operator must do. error: look at it now, something is broken. warning: nothing
yet, but it should not go on like this. info: what the cluster does. debug: for developers.
"""

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from actors.settings import LoggingSettings

HIDDEN = "***"
_SECRET_NAMES = re.compile(r"pass(word)?$|secret|token|authorization|cookie|api_?key|^key$", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")
_QUERY = re.compile(r"(https?://[^\s?\"']*)\?[^\s\"']*")
_API_KEY = re.compile(r"\brw_[A-Za-z0-9_-]{8,}")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets: by the name of the field, logins and queries in addresses, and API keys anywhere."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """The text without logins and queries of addresses and without API keys."""
    if "://" in text:
        text = _QUERY.sub(rf"\1?{HIDDEN}", _LOGIN.sub(HIDDEN, text))
    return _API_KEY.sub(HIDDEN, text) if "rw_" in text else text


def configure(settings: LoggingSettings, role: str) -> None:
    """Set up logging of this process once; `role` is part of every line."""
    level = getattr(logging, settings.level.upper())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_role(role),
    ]
    tail: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(default=str)]
        if settings.format == "json"
        else [redact, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Lines(sys.stderr)),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


class _Lines:
    """A stream of lines that fails silently: standard error may be a file, and a full disk must not end what is told
    about it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _add_role(role: str) -> structlog.types.Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("role", role)
        return event

    return add
