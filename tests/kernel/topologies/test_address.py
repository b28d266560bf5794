"""What an address of Redis may look like, and what is said about one that cannot be used."""

import pytest

from actors.kernel import RedisOptions
from actors.kernel.address import Address, BadAddress, parse_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1/2", Address("standalone", False, "redis://h:1/2")),
        ("rediss://h", Address("standalone", True, "rediss://h")),
        ("unix:///run/redis.sock?db=1", Address("standalone", False, "unix:///run/redis.sock?db=1")),
        ("redis+cluster://a:7001,b", Address("cluster", False, nodes=(("a", 7001), ("b", 6379)))),
        ("rediss+cluster://a/0", Address("cluster", True, nodes=(("a", 6379),))),
        ("redis+cluster://[::1]:7001,[::2]", Address("cluster", False, nodes=(("::1", 7001), ("::2", 6379)))),
        ("redis+sentinel://a,b:5/main", Address("sentinel", False, "", (("a", 26379), ("b", 5)), "main")),
        ("rediss+sentinel://a/main/3", Address("sentinel", True, "", (("a", 26379),), "main", 3)),
    ],
)
def test_addresses_that_are_understood(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "begins with redis://"),
        ("http://localhost", "http:// is not known"),
        ("redis+cluster://a:6379/1", "only database 0"),
        ("redis+cluster://", "not host:port"),
        ("redis+cluster://a:0", "not host:port"),
        ("redis+cluster://a:seven", "not host:port"),
        ("redis+cluster://a,,b", "not host:port"),
        ("redis+cluster://user:secret@a:6379", "settings of their own"),
        ("redis+cluster://a:6379?timeout=1", "takes no options"),
        ("redis+sentinel://a:26379", "ends with the name"),
        ("redis+sentinel://a/main/first", "is a number"),
    ],
)
def test_addresses_that_are_refused_say_why(url: str, words: str) -> None:
    with pytest.raises(BadAddress, match=words) as refused:
        parse_address(url)
    assert "secret" not in str(refused.value)


def test_options_do_not_show_their_passwords() -> None:
    shown = repr(RedisOptions(url="redis://h", username="worker", password="secret", sentinel_password="secret"))
    assert shown == "RedisOptions(url='redis://h', username='worker')"
