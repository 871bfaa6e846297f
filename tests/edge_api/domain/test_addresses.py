"""Whose limit a call counts against."""

import ipaddress

import pytest

from edge_api.domain.addresses import Proxies, limit_group

PROXIES = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        (
            "198.51.100.7",
            "203.0.113.9",
            "198.51.100.7",
        ),  # no proxy of ours
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.66, 203.0.113.9", "203.0.113.9"),  # the first was made up
        ("10.0.0.1", "203.0.113.9, 10.2.2.2", "203.0.113.9"),  # two proxies of ours
        ("10.0.0.1", "10.9.9.9,10.2.2.2", "10.9.9.9"),
        ("fd00::1", " 2001:db8::5 ", "2001:db8::5"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", ",, ,", "10.0.0.1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_who_calls(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("x" * 200, "x" * 64),
    ],
)
def test_who_shares_a_limit(address: str, group: str) -> None:
    assert limit_group(address) == group
