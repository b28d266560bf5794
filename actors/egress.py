"""Which addresses this server may connect to.

Only public addresses are allowed, and networks that the operator named. The check is made on the
address that is connected to, after name resolution and on every redirect: what a URL says proves
nothing.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Networks that the standard library counts as global, or did in some of its versions, and that
# lead to places a public client has no business in (RFC 6890, RFC 8215, RFC 3879, RFC 7526).
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class EgressRefused(OSError):
    """A connection to an address that is not allowed. It is an OSError so that every client
    library treats it as a failed connection."""


class EgressPolicy:
    """Public addresses, and the networks in `allow` (CIDR texts). Raises ValueError on a bad one."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._allow = tuple(ip_network(text, strict=False) for text in allow)

    def permits(self, address: Address) -> bool:
        """Whether an address may be connected to.

        An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) must be permitted as well.
        """
        forms = _forms(address)
        if any(_inside(form, network) for form in forms for network in self._allow):
            return True
        return all(_is_public(form) for form in forms)

    def check(self, host: str) -> None:
        """Raise EgressRefused unless `host` is an IP address that is permitted."""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            raise EgressRefused(f"{host!r} is not a resolved address") from None
        if not self.permits(address):
            raise EgressRefused(f"connections to {address} are not allowed")

    def check_literal(self, host: str) -> None:
        """Raise EgressRefused when a URL's host is an address by itself and is not permitted.

        This is only an early answer for people; names are decided when they are connected to.
        """
        address = literal_address(host)
        if address is not None and not self.permits(address):
            raise EgressRefused(f"connections to {address} are not allowed")


def literal_address(host: str) -> Address | None:
    """The address that a host text stands for without a name lookup, or None for a name.

    Besides the usual forms it reads what C libraries read: `127.1`, `2130706433`, `0x7f000001`,
    `0177.0.0.1`. `localhost` and names below it are loopback (RFC 6761).
    """
    text = host.strip("[]").rstrip(".").lower()
    if text == "localhost" or text.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        pass
    if not text or text[0] not in "0123456789":
        return None
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def _forms(address: Address) -> tuple[Address, ...]:
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address in _NAT64:
        return (address, IPv4Address(int(address) & 0xFFFFFFFF))
    return (address,)


def _is_public(address: Address) -> bool:
    if address.is_multicast or any(_inside(address, network) for network in _NOT_PUBLIC):
        return False
    if isinstance(address, IPv6Address) and address.sixtofour is not None:
        return True  # decided by the address inside; versions of the library differ on 2002::/16
    return address.is_global


def _inside(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network
