# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which link carries the overlay, and what is wrong with a choice."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import peers
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import (
    HostAddress,
    Underlay,
    check_mtu,
    choose,
    usable_address,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import config, lease

LINKS = {"lo": 1, "eth0": 2, "eth1": 3, "eth2": 4}
ADDRESSES = [
    HostAddress("lo", b"\x7f\0\0\1", 8),
    HostAddress("eth0", b"\xc6\x12\x00\x01", 24),
    HostAddress("eth0", bytes.fromhex("fd000018000000000000000000000001"), 64),
    HostAddress("eth1", b"\xc6\x12\x01\x01", 24),
]


def own(ipv6: bool = False, **changes: str) -> list[bytes]:
    return peers.public_ips(peers.read_own(config(ipv6=ipv6), lease(1, ipv6=ipv6, **changes)))


def test_by_public_ip() -> None:
    assert choose("node-1", own(), LINKS, ADDRESSES, None) == "eth0"
    assert choose("node-1", own(public_ip="198.18.1.1"), LINKS, ADDRESSES, None) == "eth1"
    assert choose("node-1", own(ipv6=True), LINKS, ADDRESSES, "eth0") == "eth0"


def test_no_public_ip_leaves_the_choice_to_others() -> None:
    assert peers.public_ips(peers.read_own(config("alloc"), lease(1, "alloc", public_ip=None))) == []
    assert choose("node-1", [], LINKS, ADDRESSES, None) == ""
    assert choose("node-1", [], LINKS, ADDRESSES, "eth1") == "eth1"


@pytest.mark.parametrize(
    ("interface", "public_ip", "reason"),
    [
        ("eth9", "198.18.0.1", "interface 'eth9' does not exist; it has eth0, eth1, eth2, lo"),
        ("eth2", "198.18.0.1", "interface 'eth2' has no address; give it one or name another"),
        ("eth1", "198.18.0.1", "public IP 198.18.0.1 is on interface 'eth0', not on 'eth1'"),
        (None, "198.18.0.77", "public IP 198.18.0.77 is on no interface of this host"),
        (None, "198.18.0.77", "behind NAT, name the interface"),
        ("eth0", "198.18.0.77", "behind NAT, use the host's own address"),
    ],
)
def test_refused(interface: str | None, public_ip: str, reason: str) -> None:
    with pytest.raises(InputError, match="host node-1: ") as caught:
        choose("node-1", own(public_ip=public_ip), LINKS, ADDRESSES, interface)
    assert reason in str(caught.value)


def test_both_families_on_one_link() -> None:
    with pytest.raises(InputError, match="public IP fd00:18::1 is on interface 'eth0', not on 'eth1'"):
        choose("node-1", own(ipv6=True, public_ip="198.18.1.1"), LINKS, ADDRESSES, None)


LINK_SCOPE = 253
PERMANENT, TEMPORARY, DEPRECATED, TENTATIVE = 0x80, 0x01, 0x20, 0x40


def of(last: int, scope: int = 0, flags: int = PERMANENT) -> HostAddress:
    return HostAddress("eth0", bytes(15) + bytes([last]), 64, scope, flags)


@pytest.mark.parametrize(
    ("addresses", "best"),
    [
        ([], 0),
        ([of(1, LINK_SCOPE)], 1),
        ([of(1, LINK_SCOPE), of(2)], 2),
        ([of(1), of(2)], 1),
        ([of(1, flags=0), of(2)], 2),
        ([of(1, flags=TEMPORARY), of(2, flags=0)], 2),
        ([of(1, flags=PERMANENT | DEPRECATED), of(2, flags=TEMPORARY)], 2),
        ([of(1, flags=PERMANENT | TENTATIVE)], 0),
    ],
)
def test_the_address_that_peers_can_count_on(addresses: list[HostAddress], best: int) -> None:
    found = usable_address(Underlay("eth0", 2, 1500, (HostAddress("eth0", b"\xc6\x12\x00\x01", 24), *addresses)), 16)
    assert found == (bytes(15) + bytes([best]) if best else b"")


def test_mtu() -> None:
    check_mtu("node-1", "eth0", 1500)
    with pytest.raises(InputError, match="host node-1: interface 'eth0' has MTU 0"):
        check_mtu("node-1", "eth0", 0)
