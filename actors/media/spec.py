"""Checks of what a client asked for, without looking at the source itself."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from actors.media.errors import MediaError
from actors.media.formats import find_format, parse_quality
from actors.media.task import UPLOAD_PREFIX, JobSpec

MOST_SOURCE_CHARACTERS = 8_192
MOST_NAME_CHARACTERS = 255
MOST_TAGS = 16
MOST_TAG_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One thing that is wrong. `pointer` is the JSON pointer of the field in the request."""

    pointer: str
    error: MediaError


def check_spec(spec: JobSpec) -> list[SpecProblem]:
    """Everything that is wrong with a spec; an empty list when it can be accepted."""
    problems: list[SpecProblem] = []
    try:
        check_source(spec.source)
    except MediaError as error:
        problems.append(SpecProblem("/source", error))
    try:
        target = find_format(spec.format)
    except MediaError as error:
        problems.append(SpecProblem("/format", error))
    else:
        try:
            parse_quality(target, spec.quality)
        except MediaError as error:
            problems.append(SpecProblem("/quality", error))
    if spec.name is not None and not 0 < len(spec.name) <= MOST_NAME_CHARACTERS:
        problems.append(_option("/name", f"A name has 1 to {MOST_NAME_CHARACTERS} characters."))
    if len(spec.tags) > MOST_TAGS:
        problems.append(_option("/tags", f"A job has at most {MOST_TAGS} tags."))
    problems.extend(
        _option(f"/tags/{number}", f"A tag has 1 to {MOST_TAG_CHARACTERS} characters.")
        for number, tag in enumerate(spec.tags[:MOST_TAGS])
        if not 0 < len(tag) <= MOST_TAG_CHARACTERS
    )
    return problems


def check_source(source: str) -> None:
    """Raise MediaError INVALID_SOURCE unless it is an http(s) address or `upload:<id>` by its form."""
    if len(source) > MOST_SOURCE_CHARACTERS:
        raise MediaError("INVALID_SOURCE", message="The address is too long.")
    if source.startswith(UPLOAD_PREFIX):
        if source == UPLOAD_PREFIX:
            raise MediaError("INVALID_SOURCE", message="The id of the upload is missing.")
        return
    if any(c.isspace() or not c.isprintable() for c in source):
        raise MediaError("INVALID_SOURCE", message="The address contains a character that no address has.")
    try:
        parts = urlsplit(source)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    else:
        if parts.username is not None or parts.password is not None:
            raise MediaError(
                "INVALID_SOURCE",
                message="The address contains a user name or password.",
                suggestion="Addresses are shown to everybody who may see the job: leave the login out, "
                "or download the file and upload it.",
            )
    if not usable:
        raise MediaError("INVALID_SOURCE")


def _option(pointer: str, message: str) -> SpecProblem:
    return SpecProblem(pointer, MediaError("INVALID_OPTION", message=message))
