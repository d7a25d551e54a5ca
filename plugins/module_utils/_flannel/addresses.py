# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses, prefixes and MACs by Go's rules, which flanneld, the CNI plugins and Kubernetes read them with. No I/O.

Private to podnet.cni: may change in any release.

Python's ipaddress accepts more than Go's net package does: zones (C(fe80::1%eth0)), dotted masks
(C(10.5.0.0/255.255.0.0)), hosts without a length as prefixes, and in older releases leading zeros. What is written by
those rules is poison to flanneld. Every text that becomes an address is read here and nowhere else.

Rules: net.ParseIP and net.ParseCIDR of Go (https://pkg.go.dev/net), ParseIP4 and ParseIP6 and the UnmarshalJSON
methods of flannel v0.28.9 pkg/ip/ipnet.go and pkg/ip/ip6net.go, net.ParseMAC for MACs. Every function raises
ValueError with the reason, without the text itself.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Union

Address = Union[IPv4Address, IPv6Address]
Interface = Union[IPv4Interface, IPv6Interface]
Network = Union[IPv4Network, IPv6Network]

_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_DOTTED = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}\Z", re.ASCII)
_ADDRESS6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*(?:[0-9.]+)?\Z", re.ASCII)
_LENGTH = re.compile(r"[0-9]+\Z", re.ASCII)
_PAIRS = re.compile(r"[0-9a-fA-F]{2}(?:(?::[0-9a-fA-F]{2})+|(?:-[0-9a-fA-F]{2})+|(?:[0-9a-fA-F]{2})+)\Z", re.ASCII)
_QUADS = re.compile(r"[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4})+\Z", re.ASCII)
# EUI-48, EUI-64 and the address of an InfiniBand link.
_MAC_LENGTHS = (6, 8, 20)
_MAPPED = 0xFFFF


def parse_ip(text: object) -> Address:
    """Return the address in C(text); an IPv4-mapped IPv6 address is the IPv4 address, as Go's net.IP has it."""
    address = _literal(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def parse_ipv4(text: object) -> IPv4Address:
    """Return the IPv4 address in C(text), which may be written as an IPv4-mapped IPv6 address (ParseIP4)."""
    address = parse_ip(text)
    if isinstance(address, IPv6Address):
        raise ValueError("it is an IPv6 address")
    return address


def parse_ipv6(text: object) -> IPv6Address:
    """Return the 128 bits of the address in C(text), which flannel keeps in IPv4-mapped form for IPv4 (ParseIP6)."""
    address = _literal(text)
    return IPv6Address(_MAPPED << 32 | int(address)) if isinstance(address, IPv4Address) else address


def host_ipv6(text: object) -> IPv6Address:
    """Return the IPv6 address in C(text); refuse an IPv4 address, which flannel takes but no IPv6 link can use."""
    address = parse_ip(text)
    if isinstance(address, IPv4Address):
        raise ValueError("it is an IPv4 address")
    return address


def parse_cidr(text: object) -> Network:
    """Return the prefix in C(text) without its host bits.

    An IPv4-mapped IPv6 prefix stays IPv6, as its length does: Go gives IPv4 no meaning for it.
    """
    address, length = _split(text)
    if isinstance(address, IPv4Address):
        return IPv4Network((address, length), False)
    return IPv6Network((address, length), False)


def parse_interface(text: object) -> Interface:
    """Return the address in C(text) together with its prefix, as net.ParseCIDR returns both."""
    address, length = _split(text)
    if isinstance(address, IPv4Address):
        return IPv4Interface((address, length))
    return IPv6Interface((address, length))


def parse_subnet(text: object) -> Network:
    """Return the prefix in C(text), which must have no host bits."""
    address, length = _split(text)
    network = parse_cidr(text)
    if address != network.network_address:
        raise ValueError(f"it has host bits set; write {network.network_address}/{length}")
    return network


def parse_cidr4(text: object) -> IPv4Network:
    """Return the IPv4 prefix in C(text) without its host bits (IP4Net)."""
    network = parse_cidr(text)
    if isinstance(network, IPv6Network):
        raise ValueError("it is an IPv6 prefix")
    return network


def parse_cidr6(text: object) -> IPv6Network:
    """Return the IPv6 prefix in C(text) without its host bits; refuse IPv4, which no IPv6 route can have."""
    network = parse_cidr(text)
    if isinstance(network, IPv4Network) or network.network_address.ipv4_mapped is not None:
        raise ValueError("it is an IPv4 prefix")
    return network


def parse_mac(text: object) -> bytes:
    """Return the octets of the MAC address C(text): pairs with colons, dashes or nothing between, fours with dots."""
    if not isinstance(text, str):
        raise ValueError("it is not text")
    octets = b""
    if _PAIRS.match(text) or _QUADS.match(text):
        octets = bytes.fromhex(re.sub("[:.-]", "", text))
    if len(octets) not in _MAC_LENGTHS:
        raise ValueError("it is not a MAC address")
    return octets


def _literal(text: object) -> Address:
    if not isinstance(text, str):
        raise ValueError("it is not text")
    match = _DOTTED.match(text)
    if match is not None:
        first, second, third, fourth = match.groups()
        return IPv4Address(int(first) << 24 | int(second) << 16 | int(third) << 8 | int(fourth))
    if "%" in text:
        raise ValueError("a zone is not a part of it")
    if not _ADDRESS6.match(text):
        raise ValueError("it is not an IP address")
    tail = text.rpartition(":")[2]
    # Older Pythons read octets with leading zeros.
    if "." in tail and not _DOTTED.match(tail):
        raise ValueError("it is not an IP address")
    try:
        return IPv6Address(text)
    except ValueError as error:
        raise ValueError("it is not an IP address") from error


def _split(text: object) -> tuple[Address, int]:
    if not isinstance(text, str):
        raise ValueError("it is not text")
    host, slash, length = text.partition("/")
    if not slash:
        raise ValueError("its prefix length is missing")
    address = _literal(host)
    if not _LENGTH.match(length) or int(length.lstrip("0")[:4] or 0) > address.max_prefixlen:
        raise ValueError(f"its prefix length must be a number from 0 to {address.max_prefixlen}")
    return address, int(length)
