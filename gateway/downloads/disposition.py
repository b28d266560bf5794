"""The Content-Disposition header of a download (RFC 6266, RFC 8187)."""

from urllib.parse import quote

_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"


def attachment(name: str) -> str:
    """The header's value that saves a download under `name`.

    `filename` is an ASCII form for old clients; `filename*` carries the name itself where that loses something.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\/%' else "_" for c in name)
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"
