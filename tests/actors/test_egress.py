"""Which addresses may be connected to, in every spelling and on every hop."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from actors.egress import EgressPolicy, EgressRefused, literal_address
from actors.fetch.connection import Guard, open_client
from actors.fetch.direct import download
from actors.media.errors import MediaError
from tests.actors.fault_server import FaultServer, File, redirect

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:53aa:64c:0:0:80ff:fffe",
    "fe80::1",
    "fec0::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not EgressPolicy().permits(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert EgressPolicy().permits(ip_address(address))


def test_the_operator_can_name_networks() -> None:
    policy = EgressPolicy(["10.0.0.0/8", "fd00::/8"])
    assert policy.permits(ip_address("10.9.8.7"))
    assert policy.permits(ip_address("::ffff:10.9.8.7"))
    assert policy.permits(ip_address("fd12::1"))
    assert not policy.permits(ip_address("127.0.0.1"))
    assert not policy.permits(ip_address("192.168.0.1"))
    with pytest.raises(ValueError, match="not-a-network"):
        EgressPolicy(["not-a-network"])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "127.0.0.1"),
        ("db.localhost", "127.0.0.1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("example.com", None),
        ("1.example.com", None),
        ("", None),
    ],
)
def test_literal_hosts_are_read_as_c_libraries_do(host: str, address: str | None) -> None:
    assert literal_address(host) == (None if address is None else ip_address(address))


def test_a_host_that_is_no_address_is_never_connected_to() -> None:
    with pytest.raises(EgressRefused):
        EgressPolicy(["0.0.0.0/0"]).check("example.com")


async def no_body_is_expected(size_bytes: int) -> None:
    raise AssertionError(f"{size_bytes} bytes would be written")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_the_client_refuses_to_connect_in_every_spelling(server: FaultServer, tmp_path: Path, host: str) -> None:
    server.routes["/x"] = File(b"secret" * 100)
    guard = Guard(EgressPolicy())
    async with open_client(guard, connect_timeout_s=5.0, read_timeout_s=5.0) as client:
        with pytest.raises(MediaError) as caught:
            await download(
                client, guard, server.url("/x", host), tmp_path / "x", max_bytes=1000, on_bytes=lambda *_: None,
                before_body=no_body_is_expected,
            )  # fmt: skip
    # The client takes the short spellings of IPv4 for no address at all, before it connects.
    assert caught.value.code == ("INVALID_SOURCE" if host in ("127.1", "2130706433") else "ADDRESS_REFUSED")
    assert server.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.2", "localhost", "[::1]", "10.0.0.1"])
async def test_a_redirect_cannot_lead_into_a_private_network(server: FaultServer, tmp_path: Path, host: str) -> None:
    server.routes["/x"] = redirect(f"http://{host}:{server.port}/y")
    server.routes["/y"] = File(b"secret" * 100)
    guard = Guard(EgressPolicy(["127.0.0.1/32"]) if host != "localhost" else _OnlyFirst())
    async with open_client(guard, connect_timeout_s=5.0, read_timeout_s=5.0) as client:
        with pytest.raises(MediaError) as caught:
            await download(
                client, guard, server.url("/x"), tmp_path / "x", max_bytes=1000, on_bytes=lambda *_: None,
                before_body=no_body_is_expected,
            )  # fmt: skip
    assert caught.value.code == "ADDRESS_REFUSED"
    assert [path for _, path, _, _ in server.asked] == ["/x"]


class _OnlyFirst(EgressPolicy):
    """Permits one connection: what a name that changes its address between two look-ups amounts to."""

    def __init__(self) -> None:
        super().__init__(["127.0.0.0/8"])
        self._left = 1

    def check(self, host: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise EgressRefused("the second connection")
        super().check(host)
