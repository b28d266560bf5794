"""Addresses of Redis: one server, a Redis Cluster, or a primary that Sentinels name.

    redis://host:port/db          rediss://host:port/db            unix:///path?db=0
    redis+cluster://h:p,h:p       rediss+cluster://h:p,h:p
    redis+sentinel://h:p,h:p/service/db    rediss+sentinel://h:p,h:p/service/db

The double s means TLS, also towards the Sentinels. Ports may be left out: 6379, for Sentinels 26379.
"""

from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

Node = tuple[str, int]
"""Host and port of one server."""
REDIS_PORT, SENTINEL_PORT = 6379, 26379


class BadAddress(ValueError):
    """The address of Redis cannot be understood. The message says why and what to write."""


class Address(msgspec.Struct, frozen=True):
    """Where Redis is."""

    kind: Literal["standalone", "cluster", "sentinel"]
    tls: bool
    url: str = ""
    """standalone: the address as the client library reads it."""
    nodes: tuple[Node, ...] = ()
    """cluster: nodes to ask first. sentinel: the Sentinels."""
    service: str = ""
    """sentinel: the name that the Sentinels know the primary by."""
    database: int = 0


def parse_address(url: str) -> Address:
    """Reads an address. Raises BadAddress."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise BadAddress(f"{url!r} is no address of Redis: it begins with redis://, rediss://, unix:// or one of the "
                         "longer forms redis+cluster:// and redis+sentinel://.")  # fmt: skip
    match scheme:
        case "redis" | "rediss" | "unix":
            return Address("standalone", scheme == "rediss", url)
        case "redis+cluster" | "rediss+cluster":
            return _cluster(scheme.startswith("rediss"), rest)
        case "redis+sentinel" | "rediss+sentinel":
            return _sentinel(scheme.startswith("rediss"), rest)
    raise BadAddress(f"{scheme}:// is not known here. Use redis://, rediss://, unix://, redis+cluster://, "
                     "rediss+cluster://, redis+sentinel:// or rediss+sentinel://.")  # fmt: skip


def _cluster(tls: bool, rest: str) -> Address:
    hosts, path = _split(rest)
    if path not in {"", "0"}:
        raise BadAddress(f"Redis Cluster has only database 0, and the address asks for {path!r}: leave it out.")
    return Address("cluster", tls, nodes=_nodes(hosts, REDIS_PORT))


def _sentinel(tls: bool, rest: str) -> Address:
    hosts, path = _split(rest)
    service, _, database = path.partition("/")
    if not service:
        raise BadAddress("The address of a primary behind Sentinels ends with the name the Sentinels know it by, "
                         "as in redis+sentinel://host:26379/mymaster.")  # fmt: skip
    if database and not database.isdecimal():
        raise BadAddress(f"The database in the address of Redis is a number, not {database!r}.")
    return Address("sentinel", tls, "", _nodes(hosts, SENTINEL_PORT), unquote(service), int(database or 0))


def _split(rest: str) -> tuple[str, str]:
    parts = urlsplit(f"//{rest}")
    if "@" in parts.netloc:
        raise BadAddress("The address of Redis names servers only; user and password have settings of their own.")
    if parts.query or parts.fragment:
        raise BadAddress("The address of a Redis Cluster or of Sentinels takes no options behind ? or #.")
    return parts.netloc, parts.path.strip("/")


def _nodes(hosts: str, default_port: int) -> tuple[Node, ...]:
    return tuple(_node(host, default_port) for host in hosts.split(","))


def _node(written: str, default_port: int) -> Node:
    host, port = written, str(default_port)
    if written.startswith("["):
        host, _, after = written[1:].partition("]")
        port = after.removeprefix(":") or port
    elif written.count(":") == 1:
        host, port = written.split(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadAddress(f"{written!r} in the address of Redis is not host:port.")
    return host, int(port)
