"""What a client may ask for: from the body of `POST /v1/jobs` to a spec that every stage can rely on."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from actors.egress import EgressPolicy, EgressRefused
from actors.media.errors import MediaError, error_table
from actors.media.spec import check_spec
from actors.media.task import JobSpec, encode, upload_id
from actors.storage import Storage
from actors.storage.uploads import read_upload
from gateway.http.problems import FieldError, Problem

_FIELDS: dict[str, Any] = {
    "source": str,
    "format": str,
    "quality": str | None,
    "name": str | None,
    "tags": tuple[str, ...],
    "cache": Literal["use", "bypass"],
}
_REQUIRED = ("source", "format")
_EXPECTED = {
    "source": "a text",
    "format": "a text",
    "quality": "a text or null",
    "name": "a text or null",
    "tags": "a list of texts",
    "cache": '"use" or "bypass"',
}


def read_spec(body: bytes, egress: EgressPolicy) -> JobSpec:
    """The spec in a request's body. Raises Problem, which names every wrong field."""
    asked = _object(body)
    errors, values = _typed(asked)
    if errors:
        raise _refused(errors)
    spec = JobSpec(**values)
    errors = [_media_error(problem.pointer, problem.error) for problem in check_spec(spec)]
    if not any(error.pointer == "/source" for error in errors):
        errors = [*_address_errors(spec.source, egress), *errors]
    if errors:
        raise _refused(errors)
    return spec


async def check_upload(spec: JobSpec, storage: Storage, tenant: str) -> None:
    """Raises Problem UPLOAD_NOT_FOUND when the spec names an upload that is not there, expired or another tenant's."""
    upload = upload_id(spec.source)
    if upload is None:
        return
    meta = await read_upload(storage, upload)
    if meta is None or meta.tenant != tenant or meta.expires_at <= datetime.now(UTC):
        raise _refused([_media_error("/source", MediaError("UPLOAD_NOT_FOUND"))])


def digest_of(spec: JobSpec) -> str:
    """Names a request: equal for bodies that ask for the same, whatever their spelling."""
    return hashlib.sha256(encode(spec)).hexdigest()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Problem("INVALID_JSON") from None
    if not isinstance(asked, dict):
        raise Problem("INVALID_JSON")
    return asked


def _typed(asked: Mapping[str, Any]) -> tuple[list[FieldError], dict[str, Any]]:
    errors = [_missing(name) for name in _REQUIRED if name not in asked]
    values: dict[str, Any] = {}
    for name, value in asked.items():
        if name not in _FIELDS:
            errors.append(_unknown(name))
            continue
        try:
            values[name] = msgspec.convert(value, _FIELDS[name])
        except msgspec.ValidationError:
            errors.append(FieldError(f"`{name}` must be {_EXPECTED[name]}.", pointer=f"/{name}"))
    return errors, values


def _missing(name: str) -> FieldError:
    return FieldError(f"`{name}` is missing.", pointer=f"/{name}", suggestion=f"Send `{name}`, {_EXPECTED[name]}.")


def _unknown(name: str) -> FieldError:
    close = get_close_matches(name.lower(), _FIELDS, n=1)
    suggestion = f"Did you mean `{close[0]}`?" if close else f"Known fields: {', '.join(_FIELDS)}."
    shown = name[:40]
    return FieldError(f"The field `{shown}` is not known.", pointer=f"/{_escaped(shown)}", suggestion=suggestion)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


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


def _refused(errors: list[FieldError]) -> Problem:
    first = errors[0]
    return Problem(
        first.code or "INVALID_REQUEST",
        status=422,
        title="Invalid request",
        detail=first.detail,
        suggestion=first.suggestion,
        errors=errors,
    )
