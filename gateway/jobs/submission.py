"""What a client may ask for: from the body of `POST /v1/jobs` to a spec that every stage can rely on."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from actors.egress import EgressPolicy, EgressRefused
from actors.kernel.keys import Priority
from actors.media.errors import MediaError, error_table
from actors.media.spec import check_spec
from actors.media.task import JobSpec, encode, upload_id
from actors.storage import Storage
from actors.storage.uploads import read_upload
from gateway.http.bodies import Field, read_fields, read_object, refused
from gateway.http.problems import FieldError
from gateway.times import read_timestamp

LONGEST_LIFE_S = 30 * 86_400.0
SHORTEST_LIFE_S = 1.0


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When and how urgently a job runs. Unlike the spec it changes nothing about the result."""

    priority: Priority = "normal"
    deadline_s: float | None = None
    """From the start to the deadline; None: the installation's default."""
    start_at_ms: int | None = None
    delay_s: float | None = None

    def starts_at_ms(self, now_ms: int) -> int | None:
        """When the job may start; None: at once."""
        at_ms = self.start_at_ms if self.delay_s is None else now_ms + round(self.delay_s * 1000)
        return None if at_ms is None or at_ms <= now_ms else at_ms


def _between(least: float, most: float) -> Callable[[float], float]:
    def read(value: float) -> float:
        if not least <= value <= most:
            raise ValueError(value)
        return value

    return read


LIFE = Field(
    float | None,
    f"a number of seconds from {SHORTEST_LIFE_S:.0f} to {LONGEST_LIFE_S:.0f}",
    _between(SHORTEST_LIFE_S, LONGEST_LIFE_S),
)
_TERMS = {
    "priority": Field(Priority, '"high", "normal" or "low"'),
    "deadline_s": LIFE,
    "start_at": Field(str | None, "a time such as 2026-01-31T12:00:00Z", read_timestamp),
    "delay_s": Field(
        float | None, f"a number of seconds from 0 to {LONGEST_LIFE_S:.0f}", _between(0.0, LONGEST_LIFE_S)
    ),
}
_SPEC = {
    "source": Field(str, "a text"),
    "format": Field(str, "a text"),
    "quality": Field(str | None, "a text or null"),
    "name": Field(str | None, "a text or null"),
    "tags": Field(tuple[str, ...], "a list of texts"),
    "cache": Field(Literal["use", "bypass"], '"use" or "bypass"'),
}
_REQUIRED = ("source", "format")


def read_request(body: bytes, egress: EgressPolicy, now_ms: int) -> tuple[JobSpec, Terms]:
    """What a request's body asks for. Raises Problem, which names every wrong field."""
    errors, values = read_fields(read_object(body), _SPEC | _TERMS, required=_REQUIRED)
    asked = {name: values.pop(name) for name in _TERMS if name in values}
    if "start_at" in asked:
        asked["start_at_ms"] = asked.pop("start_at")
    terms = Terms(**asked)
    errors += _start_errors(terms, now_ms)
    if errors:
        raise refused(errors)
    spec = JobSpec(**values)
    errors = [_media_error(problem.pointer, problem.error) for problem in check_spec(spec)]
    if not any(error.pointer == "/source" for error in errors):
        errors = [*_address_errors(spec.source, egress), *errors]
    if errors:
        raise refused(errors)
    return spec, terms


async def check_upload(spec: JobSpec, storage: Storage, tenant: str) -> None:
    """Raises Problem UPLOAD_NOT_FOUND when the spec names an upload that is not there, expired or another tenant's."""
    upload = upload_id(spec.source)
    if upload is None:
        return
    meta = await read_upload(storage, upload)
    if meta is None or meta.tenant != tenant or meta.expires_at <= datetime.now(UTC):
        raise refused([_media_error("/source", MediaError("UPLOAD_NOT_FOUND"))])


def digest_of(spec: JobSpec, terms: Terms) -> str:
    """Names a request: equal for bodies that ask for the same, whatever their spelling."""
    extra = b"" if terms == Terms() else b"\n" + msgspec.json.encode(terms)
    return hashlib.sha256(encode(spec) + extra).hexdigest()


def _start_errors(terms: Terms, now_ms: int) -> list[FieldError]:
    if terms.start_at_ms is None:
        return []
    if terms.delay_s is not None:
        return [
            FieldError("`start_at` and `delay_s` say the same.", pointer="/delay_s", suggestion="Send one of them.")
        ]
    if terms.start_at_ms - now_ms > LONGEST_LIFE_S * 1000:
        detail = "`start_at` must be at most 30 days ahead."
        return [FieldError(detail, pointer="/start_at", suggestion="Send the job later, or choose an earlier time.")]
    return []


def _address_errors(source: str, egress: EgressPolicy) -> list[FieldError]:
    host = urlsplit(source).hostname
    if upload_id(source) is not None or host is None:
        return []
    try:
        egress.check_literal(host)
    except EgressRefused:
        return [_media_error("/source", MediaError("ADDRESS_REFUSED"))]
    return []


def _media_error(pointer: str, error: MediaError) -> FieldError:
    texts = error_table().error_body(error.code, error.message, error.suggestion)
    return FieldError(texts.message, pointer=pointer, code=texts.code, suggestion=texts.suggestion)
