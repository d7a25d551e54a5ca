# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses are read as Go's net package and flannel's pkg/ip read them.

tests/integration/flanneld/test_codec.py holds the same rules against a running flanneld.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.18.0.1", IPv4Address("198.18.0.1")),
        ("::ffff:198.18.0.1", IPv4Address("198.18.0.1")),
        ("::FFFF:C612:1", IPv4Address("198.18.0.1")),
        ("fd00::1", IPv6Address("fd00::1")),
        ("FD00:0:0:0:0:0:0:1", IPv6Address("fd00::1")),
        ("::1.2.3.4", IPv6Address("::102:304")),
        ("::", IPv6Address("::")),
        ("1:2:3:4:5:6:7::", IPv6Address("1:2:3:4:5:6:7:0")),
    ],
)
def test_an_address_that_go_reads(text, address):
    assert addresses.parse_ip(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "10",
            "10.1",
            "010.0.0.1",
            "10.0.0.256",
            "10.0.0.1 ",
            " 10.0.0.1",
            "10.0.0.1/32",
            "10.0.0.1\n",
            "1.2.3.4.5",
        ),
        *(
            "fe80::19%eth0",
            "fe80::1%",
            "::01.2.3.4",
            "::1.2.3",
            "1::2::3",
            ":1::",
            "12345::",
            "1:2:3:4:5:6:7:8::",
            "\u0660.0.0.1",
        ),
        *(
            "1:2:3:4:5:6:7:1.2.3.4",
            "[::1]",
            "::1/64",
            "::g",
            ":",
            "1:2:3:4:5:6:7:8:9",
            None,
            10,
            b"10.0.0.1",
            3.5,
            True,
        ),
    ],
)
def test_an_address_that_go_refuses(text):
    for parser in (addresses.parse_ip, addresses.parse_ipv4, addresses.parse_ipv6, addresses.host_ipv6):
        with pytest.raises(ValueError, match=r"^(it is no|a zone)"):
            parser(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.50.0.0/16", IPv4Network("10.50.0.0/16")),
        ("10.50.7.9/016", IPv4Network("10.50.0.0/16")),
        ("0.0.0.0/0", IPv4Network("0.0.0.0/0")),
        ("10.0.0.1/32", IPv4Network("10.0.0.1/32")),
        ("fd00::1/48", IPv6Network("fd00::/48")),
        ("::ffff:10.50.0.0/112", IPv6Network("::ffff:10.50.0.0/112")),
    ],
)
def test_a_prefix_that_go_reads(text, network):
    assert addresses.parse_cidr(text) == network


@pytest.mark.parametrize(
    "text",
    [
        *("10.50.0.0/255.255.0.0", "10.50.0.0/0.0.255.255", "10.50.0.0", "10.50.0.0/", "10.50.0.0/33", "10.50.0.0/-1"),
        *("10.50.0.0/+16", "10.50.0.0/1 6", "10.50.0.0/16/16", "10.050.0.0/16", "10.50/16", "/16", "fd00::%eth0/48"),
        *("fd00::/129", "fd00::/ffff::", "fd00::/48%eth0", "10.50.0.0/99999999999999999999", "fd00::/\u0664", None, 10),
    ],
)
def test_a_prefix_that_go_refuses(text):
    parsers = (addresses.parse_cidr, addresses.parse_cidr4, addresses.parse_cidr6, addresses.parse_subnet)
    for parser in (*parsers, addresses.parse_interface):
        with pytest.raises(ValueError, match=r"^(it is no|a zone|its prefix)"):
            parser(text)


def test_a_family_is_not_taken_for_the_other():
    for parser, text in (
        (addresses.parse_ipv4, "fd00::1"),
        (addresses.host_ipv6, "10.0.0.1"),
        (addresses.host_ipv6, "::ffff:10.0.0.1"),
        (addresses.parse_cidr4, "fd00::/48"),
        (addresses.parse_cidr4, "::ffff:10.0.0.0/112"),
        (addresses.parse_cidr6, "10.0.0.0/8"),
        (addresses.parse_cidr6, "::ffff:10.0.0.0/112"),
    ):
        with pytest.raises(ValueError, match="it is an IPv"):
            parser(text)
    assert addresses.parse_ipv6("10.0.0.1") == IPv6Address("::ffff:10.0.0.1")


def test_host_bits_of_a_subnet_are_refused_with_what_to_write():
    assert addresses.parse_subnet("10.50.7.0/24") == IPv4Network("10.50.7.0/24")
    with pytest.raises(ValueError, match=r"host bits set; write 10\.50\.7\.0/24"):
        addresses.parse_subnet("10.50.7.1/24")


def test_an_address_is_read_with_its_prefix():
    assert str(addresses.parse_interface("10.50.7.9/016")) == "10.50.7.9/16"
    assert str(addresses.parse_interface("fd00::9/48").network) == "fd00::/48"
    for text in ("10.50.7.9", "10.50.7.9/255.255.0.0", "fd00::9%eth0/48", "fd00::9/48%eth0"):
        with pytest.raises(ValueError, match=r"^(a zone|its prefix)"):
            addresses.parse_interface(text)


@pytest.mark.parametrize(
    "text", ["02:42:ac:14:00:07", "02-42-AC-14-00-07", "0242.ac14.0007", "0242ac140007", "02:42:AC:14:00:07"]
)
def test_a_mac_that_go_reads(text):
    assert addresses.parse_mac(text) == bytes.fromhex("0242ac140007")


@pytest.mark.parametrize(
    "text",
    [
        *("", "02:42:ac:14:00", "02:42:ac:14:00:07:", "02:42-ac:14:00:07", "2:42:ac:14:0:7", "0242.ac14", None, 7),
        *("02:42:ac:14:00:0g", "0242.ac14:0007", " 02:42:ac:14:00:07", "02:42:ac:14:00:07:01", "02:42:ac:14:00:07\n"),
    ],
)
def test_a_mac_that_go_refuses(text):
    with pytest.raises(ValueError, match="it is no"):
        addresses.parse_mac(text)


@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_what_is_printed_is_read_back(number, length):
    for address in (IPv6Address(number), IPv4Address(number % 2**32)):
        bits = min(length, address.max_prefixlen)
        read = addresses.parse_ipv6(str(address)) if address.version == 6 else addresses.parse_ip(str(address))
        assert read == address
        network = addresses.parse_cidr(f"{address}/{bits}")
        assert address in network
        interface = addresses.parse_interface(f"{address}/{bits}")
        assert (interface.ip, interface.network) == (address, network)
        assert addresses.parse_subnet(str(network)) == network


@given(st.text(alphabet="0123456789abcdefABCDEF:./%x ", max_size=24))
def test_any_text_is_read_as_the_c_library_reads_it(text):
    """inet_pton(3) has Go's rules for both families."""
    expected = None
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            expected = socket.inet_pton(family, text)
        except OSError:
            continue
    try:
        read = addresses.parse_ip(text) if expected is None or len(expected) == 4 else addresses.parse_ipv6(text)
    except ValueError:
        assert expected is None
    else:
        assert read.packed == expected


def test_no_other_parser_reads_what_flannel_reads():
    """ipaddress makes objects of numbers there; it reads no text."""
    families = ("_flannel", "_stores", "_dataplane", "_discovery", "_adoption", "_cni")
    home = Path(addresses.__file__).parents[1]
    found = [
        f"{path.relative_to(home)}: {match.group()}"
        for family in families
        for path in sorted((home / family).rglob("*.py"))
        for match in re.finditer(r"\bip_(?:address|network|interface)\b", path.read_text("utf-8"))
    ]
    assert found == []
