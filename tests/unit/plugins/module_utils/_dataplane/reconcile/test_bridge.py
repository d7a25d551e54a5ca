# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bridge of the pods when the node's subnet has moved."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Address, Former
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import bridge
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import HostAddress
from ansible_collections.podnet.cni.plugins.module_utils._host import pod_addresses
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import build, config


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


PLANE = build(config(ipv6=True), [2])
UNDERLAY = HostAddress("eth0", ip("198.18.0.1"), 24)
OURS = HostAddress("cni0", ip("10.5.1.1"), 24)
OLD = HostAddress("cni0", ip("10.5.7.1"), 24)
OLD6 = HostAddress("cni0", ip("fd00:10:5:7::1"), 64)


def test_a_bridge_that_is_right_stays() -> None:
    assert not bridge.move(PLANE, "cni0", [UNDERLAY, OURS, HostAddress("cni0", ip("fe80::1"), 64, 253)])
    assert not bridge.move(PLANE, "cni0", [UNDERLAY]), "and one that is not there is not made"
    assert not bridge.move(PLANE, "br7", [UNDERLAY, OLD])


def test_both_families_move() -> None:
    steps = bridge.move(PLANE, "cni0", [UNDERLAY, OLD, OLD6])
    assert steps.add_addresses == [Address("cni0", ip("10.5.1.1"), 24), Address("cni0", ip("fd00:10:5:1::1"), 64)]
    assert steps.remove_addresses == [Address(*OLD[:3]), Address(*OLD6[:3])]
    assert bridge.move(PLANE, "cni0", [OURS, OLD]).add_addresses == [Address("cni0", ip("fd00:10:5:1::1"), 64)]


def test_an_address_of_a_former_network_is_known_by_the_lease_of_then() -> None:
    other = HostAddress("cni0", ip("10.99.3.1"), 24)
    assert bridge.stale_addresses(PLANE, [UNDERLAY, other]) == []
    moved = replace(PLANE, former=Former(addresses=frozenset({Address("flannel.1", ip("10.99.3.0"), 32)})))
    assert bridge.stale_addresses(moved, [UNDERLAY, other]) == [other]


def test_pods_are_named_with_their_addresses(tmp_path: Path) -> None:
    network = tmp_path / "cbr0"
    network.mkdir()
    (network / "10.5.7.9").write_text("0123456789abcdef\r\neth0")
    (network / "fd00:10:5:7::9").write_text("")
    (network / "last_reserved_ip.0").write_text("10.5.7.9")
    (network / "lock").write_text("")
    held = pod_addresses.read(str(tmp_path))
    assert [one.describe() for one in held] == [
        "10.5.7.9 (container 0123456789ab)",
        "fd00:10:5:7::9 (container not known)",
    ]
    assert pod_addresses.read(str(tmp_path / "nowhere")) == []
