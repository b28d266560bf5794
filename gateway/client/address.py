"""Where a gateway is, and the key for it."""

from urllib.parse import urljoin, urlsplit

import msgspec


class Address(msgspec.Struct, frozen=True):
    """A gateway and the key for it. Raises ValueError for what cannot be either; no text of it shows the key."""

    url: str
    key: str

    def __post_init__(self) -> None:
        check_url(self.url)
        if not (self.key.isascii() and self.key.isprintable() and self.key.strip()):
            raise ValueError("the key is empty, or holds characters that no key has")

    def of(self, path: str) -> str:
        """The full address of a path of the API. The gateway may lie below a path itself."""
        return self.url.rstrip("/") + path

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def check_url(url: str) -> None:
    """Raises ValueError for what is no address of a gateway."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address of a gateway holds neither a user nor a query")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"no address of a gateway: {url}")


def path_on_gateway(url: str) -> str:
    """The path of an address in a document, which stays on the same gateway whether it was given in full or not."""
    parts = urlsplit(urljoin("/", url))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
