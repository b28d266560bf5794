"""Checks of what a client asked for, without looking at the source itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from actors.media.errors import MediaError
from actors.media.formats import find_format, parse_quality
from actors.media.task import UPLOAD_PREFIX, BatchSpec, JobSpec, Wishes

MOST_SOURCE_CHARACTERS = 8_192
MOST_NAME_CHARACTERS = 255
MOST_TAGS = 16
MOST_TAG_CHARACTERS = 64
MOST_METADATA = 16
MOST_METADATA_KEY_CHARACTERS = 64
MOST_METADATA_CHARACTERS = 512
MOST_SOURCES = 100


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One thing that is wrong. `pointer` is the JSON pointer of the field in the request."""

    pointer: str
    error: MediaError


def check_spec(spec: JobSpec) -> list[SpecProblem]:
    """Everything that is wrong with a spec; an empty list when it can be accepted."""
    return [*_source_problems("/source", spec.source), *_wish_problems(spec)]


def check_batch(spec: BatchSpec) -> list[SpecProblem]:
    """Everything that is wrong with a batch."""
    if not 1 <= len(spec.sources) <= MOST_SOURCES:
        return [
            SpecProblem("/source", MediaError("INVALID_SOURCE", message=f"A batch has 1 to {MOST_SOURCES} sources."))
        ]
    problems = [
        problem
        for number, source in enumerate(spec.sources)
        for problem in _source_problems(f"/source/{number}", source)
    ]
    return [*problems, *_wish_problems(spec)]


def _source_problems(pointer: str, source: str) -> list[SpecProblem]:
    try:
        check_source(source)
    except MediaError as error:
        return [SpecProblem(pointer, error)]
    return []


def _wish_problems(spec: Wishes) -> list[SpecProblem]:
    """What is wrong with anything but the source."""
    problems: list[SpecProblem] = []
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
    problems.extend(_metadata_problems(spec.metadata))
    return problems


def _metadata_problems(metadata: Mapping[str, str]) -> Iterator[SpecProblem]:
    if len(metadata) > MOST_METADATA:
        yield _option("/metadata", f"A job has at most {MOST_METADATA} metadata entries.")
        return
    for key, value in metadata.items():
        pointer = f"/metadata{pointer_to(key)}"
        if not 0 < len(key) <= MOST_METADATA_KEY_CHARACTERS:
            yield _option(pointer, f"A metadata key has 1 to {MOST_METADATA_KEY_CHARACTERS} characters.")
        if len(value) > MOST_METADATA_CHARACTERS:
            yield _option(pointer, f"A metadata value has at most {MOST_METADATA_CHARACTERS} characters.")


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


def pointer_to(name: str) -> str:
    """A member of an object as the end of a JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _option(pointer: str, message: str) -> SpecProblem:
    return SpecProblem(pointer, MediaError("INVALID_OPTION", message=message))
