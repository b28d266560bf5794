"""Which named limit an address falls under: its host, a domain above it, or the platform it belongs to."""

from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit

PLATFORMS: Mapping[str, str] = {
    "instagram.com": "instagram",
    "soundcloud.com": "soundcloud",
    "tiktok.com": "tiktok",
    "twitch.tv": "twitch",
    "twitter.com": "x",
    "vimeo.com": "vimeo",
    "x.com": "x",
    "youtu.be": "youtube",
    "youtube-nocookie.com": "youtube",
    "youtube.com": "youtube",
}
"""Domain to the name of its platform."""


def limit_name(address: str, names: Collection[str]) -> str | None:
    """The most exact of the configured `names` that applies to an address, or None: it is not limited."""
    try:
        host = (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return None
    return next((name for name in _names(host) if name in names), None)


def _names(host: str) -> Iterator[str]:
    labels = host.split(".")
    domains = [".".join(labels[first:]) for first in range(len(labels))]
    yield from domains
    yield from (PLATFORMS[domain] for domain in domains if domain in PLATFORMS)
