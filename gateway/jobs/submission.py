"""What a client may ask for: from the body of `POST /v1/jobs` to a spec that every stage can rely on."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from actors.egress import EgressPolicy, EgressRefused
from actors.kernel.keys import Priority
from actors.media.errors import MediaError, error_table
from actors.media.formats import FORMATS
from actors.media.spec import check_batch, check_spec
from actors.media.task import UPLOAD_PREFIX, BatchSpec, JobSpec, upload_id, wishes_of
from actors.storage import Storage
from actors.storage.uploads import read_upload
from gateway.http.bodies import read_fields, read_object, refused
from gateway.http.problems import FieldError
from gateway.jobs.request import LONGEST_LIFE_S, JobRequest
from gateway.times import milliseconds


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


Spec = JobSpec | BatchSpec


def read_request(body: bytes, egress: EgressPolicy, now_ms: int) -> tuple[Spec, Terms]:
    """What a request's body asks for. Raises Problem, which names every wrong field."""
    errors, values = read_fields(read_object(body), JobRequest)
    errors += _start_errors(values, now_ms)
    if "on_child_failure" in values and isinstance(values.get("source"), str):
        errors.append(_lonely_error())
    request = JobRequest(**_completed(values))
    spec = _spec_of(request)
    errors += _spec_errors(spec, egress)
    if errors:
        raise refused(errors)
    return spec, _terms_of(request)


def sources_of(spec: Spec) -> list[tuple[str, str]]:
    """Every source with its JSON pointer in the request."""
    if isinstance(spec, JobSpec):
        return [("/source", spec.source)]
    return [(f"/source/{number}", source) for number, source in enumerate(spec.sources)]


def uploads_of(spec: Spec) -> list[tuple[str, str]]:
    """The ids of the uploads among the sources, with the pointers of those."""
    return [(pointer, upload) for pointer, source in sources_of(spec) if (upload := upload_id(source)) is not None]


async def check_uploads(spec: Spec, storage: Storage, tenant: str) -> None:
    """Raises Problem UPLOAD_NOT_FOUND when the spec names uploads that are not there, expired or another tenant's."""
    errors: list[FieldError] = []
    for pointer, upload in uploads_of(spec):
        meta = await read_upload(storage, upload)
        if meta is None or meta.tenant != tenant or meta.expires_at <= datetime.now(UTC):
            errors.append(_media_error(pointer, MediaError("UPLOAD_NOT_FOUND")))
    if errors:
        raise refused(errors)


def digest_of(spec: Spec, terms: Terms) -> str:
    """Names a request: equal for bodies that ask for the same, whatever their spelling."""
    extra = b"" if terms == Terms() else b"\n" + msgspec.json.encode(terms)
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic") + extra).hexdigest()


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """The right fields, and something for a required one that is wrong: what the others ask for is looked at, too."""
    if "format" not in values:
        # Which qualities there are depends on it.
        values = {name: value for name, value in values.items() if name != "quality"}
    return {"source": f"{UPLOAD_PREFIX}unknown", "format": next(iter(FORMATS)), **values}


def _spec_errors(spec: Spec, egress: EgressPolicy) -> list[FieldError]:
    found = check_spec(spec) if isinstance(spec, JobSpec) else check_batch(spec)
    errors = [_media_error(problem.pointer, problem.error) for problem in found]
    wrong = {error.pointer for error in errors}
    addresses = [(pointer, source) for pointer, source in sources_of(spec) if pointer not in wrong]
    return [error for pointer, source in addresses for error in _address_errors(pointer, source, egress)] + errors


def _lonely_error() -> FieldError:
    return FieldError(
        "`on_child_failure` is about the jobs of a batch.",
        pointer="/on_child_failure",
        suggestion="Leave it out, or send `source` as a list.",
    )


def _spec_of(request: JobRequest) -> Spec:
    if isinstance(request.source, str):
        return JobSpec(source=request.source, **wishes_of(request))
    return BatchSpec(sources=request.source, on_child_failure=request.on_child_failure, **wishes_of(request))


def _terms_of(request: JobRequest) -> Terms:
    return Terms(
        priority=request.priority,
        deadline_s=request.deadline_s,
        start_at_ms=None if request.start_at is None else milliseconds(request.start_at),
        delay_s=request.delay_s,
    )


def _start_errors(values: dict[str, Any], now_ms: int) -> list[FieldError]:
    start_at: datetime | None = values.get("start_at")
    if start_at is None:
        return []
    if values.get("delay_s") is not None:
        return [
            FieldError("`start_at` and `delay_s` say the same.", pointer="/delay_s", suggestion="Send one of them.")
        ]
    if milliseconds(start_at) - now_ms > LONGEST_LIFE_S * 1000:
        detail = "`start_at` must be at most 30 days ahead."
        return [FieldError(detail, pointer="/start_at", suggestion="Send the job later, or choose an earlier time.")]
    return []


def _address_errors(pointer: str, source: str, egress: EgressPolicy) -> list[FieldError]:
    host = urlsplit(source).hostname
    if upload_id(source) is not None or host is None:
        return []
    try:
        egress.check_literal(host)
    except EgressRefused:
        return [_media_error(pointer, MediaError("ADDRESS_REFUSED"))]
    return []


def _media_error(pointer: str, error: MediaError) -> FieldError:
    texts = error_table().error_body(error.code, error.message, error.suggestion)
    return FieldError(texts.message, pointer=pointer, code=texts.code, suggestion=texts.suggestion)
