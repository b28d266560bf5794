"""What a job is tagged with: a part of what was asked for. Pure."""

import msgspec


class _Tagged(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] = ()


_tagged = msgspec.json.Decoder(_Tagged)


def tags_in(spec: bytes) -> tuple[str, ...]:
    """The tags in the spec of a job; none where it was not made by this API."""
    try:
        return _tagged.decode(spec).tags
    except msgspec.DecodeError:
        return ()
